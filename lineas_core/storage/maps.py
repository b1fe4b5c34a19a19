"""Learnt maps on disk: one folder per map, written atomically and read strictly.

    lineas.safetensors     <module>.scale and <module>.shift, float32, (d,) each, and metadata
    lineas_config.json     a copy of the metadata, for people and other tools
    prompts.json           the prompts that the map was learnt from
    README.md              a model card

No content of a file is ever executed. The safetensors library accepts duplicate keys, NaN and
any number of tensors, so this module checks the header before the library reads the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.models.base import SteerableModel, fingerprint
from lineas_core.paths import ASSETS
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.storage.disk import saving, write_atomically
from lineas_core.storage.model_card import model_card, modelspec

__all__ = [
    "FORMAT_VERSION",
    "check_fits",
    "holds_maps",
    "load_maps",
    "save_maps",
]

FORMAT_VERSION = 1
_WEIGHTS, _PROMPTS = "lineas.safetensors", "prompts.json"
_MAX_FILE, _MAX_HEADER, _MAX_VALUE = 64 << 20, 1 << 20, 1e4
_MALFORMED = (
    *(OSError, LookupError, TypeError, ValueError, AttributeError, RecursionError),
    SafetensorError,
)


def save_maps(maps: SteeringMaps, folder: str | Path, *, prompts: PromptSet | None = None) -> Path:
    """Write maps to a folder, replacing those that it holds.

    Each file is written atomically, the weights last.

    Args:
        maps: the learnt maps; their `metadata` must be JSON-like.
        folder: created if missing.
        prompts: the prompts that the maps were learnt from, saved with them; their name,
            description, keywords and kind become metadata unless the maps have their own. None
            keeps the prompts in the folder if it holds the same maps, and otherwise deletes them.

    Returns:
        The folder.

    Raises:
        UserError: a value is not finite or larger than 10,000, or the folder cannot be written.
    """
    folder = Path(folder)
    tensors = _tensors(maps)
    if not _usable(tensors):
        raise UserError(
            "E_VALUES",
            f"the map has values that are not finite or beyond {_MAX_VALUE:g}",
            where=folder.name,
            remedy="Learn it again: with a lower learning rate, or with prompts that differ less.",
        )
    config = _config(maps, tensors, prompts)
    metadata = {"format": "pt", "lineas.config": json.dumps(config), **modelspec(config)}
    files = {} if prompts is None else {_PROMPTS: _prompts_json(prompts)}
    files |= {
        "README.md": model_card(config).encode(),
        "lineas_config.json": json.dumps(config, indent=2).encode(),
        # Last: a folder counts as a map once its weights are there.
        _WEIGHTS: safetensors.torch.save(tensors, metadata),
    }
    with saving("the map was", folder):
        folder.mkdir(parents=True, exist_ok=True)
        if prompts is None and holds_maps(folder) and _saved_sha256(folder) != config["sha256"]:
            (folder / _PROMPTS).unlink(missing_ok=True)  # they belong to the replaced map
        for name, data in files.items():
            write_atomically(folder / name, data)
    return folder


def holds_maps(folder: Path) -> bool:
    """Return True if a folder holds completely saved maps."""
    return (folder / _WEIGHTS).is_file()


def load_maps(path: str | Path) -> SteeringMaps:
    """Read learnt maps.

    Args:
        path: the folder, the safetensors file, or the name of a ready-made map.

    Returns:
        The maps, float32 on the CPU, with their metadata.

    Raises:
        UserError: the file is missing, is of another kind or is damaged.
    """
    path = next((p for p in (Path(path), ASSETS / "maps" / path) if p.exists()), Path(path))
    with _format_errors(path.name):
        tensors, config = _read(path / _WEIGHTS if path.is_dir() else path)
        if _sha256(tensors) != config.get("sha256"):
            raise _FormatError("it is damaged: its checksum does not match")
        if not _usable(tensors):
            raise _FormatError(f"it has values that are not finite or beyond {_MAX_VALUE:g}")
    return SteeringMaps(
        {n: AffineMap(tensors[f"{n}.scale"], tensors[f"{n}.shift"]) for n in config["modules"]},
        config,
    )


def check_fits(maps: SteeringMaps, model: SteerableModel) -> None:
    """Check that maps were learnt on this model.

    Raises:
        UserError: they were learnt on another model; the message names both.
    """
    names = list(maps)
    known = {name for name, _ in model.network.named_modules()}
    learnt_on = maps.metadata.get("model", "another model")
    if set(names) <= known:
        expected = maps.metadata.get("fingerprint")
        if expected is None or fingerprint(model.network, names) == expected:
            return
    raise UserError(
        "E_MODEL",
        f"this map was learnt on {learnt_on}, the loaded model is {model.name}",
        remedy=f"Load {learnt_on}, or learn the map again on {model.name}.",
    )


class _FormatError(Exception):
    """The reason why a file is rejected."""


@contextmanager
def _format_errors(name: str) -> Iterator[None]:
    """Raise the errors of reading a file as one `UserError`."""
    try:
        yield
        return
    except FileNotFoundError:
        reason = f"there is no {_WEIGHTS}"
    except _FormatError as error:
        reason = str(error)
    except _MALFORMED as error:
        reason = f"its header is malformed ({type(error).__name__})"
    raise UserError(
        "E_FILE",
        f"this is not a usable steering map, {reason}",
        where=name,
        remedy="Download it or learn it again.",
    )


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read tensors and metadata, after a check that the header holds nothing else."""
    if not file.is_file():
        raise FileNotFoundError(file)
    if file.stat().st_size > _MAX_FILE:
        raise _FormatError(f"it has more than {_MAX_FILE >> 20} MB")
    data = file.read_bytes()
    for magic, kind in ((b"PK", "zip archive or a pickle"), (b"GGUF", "GGUF model")):
        if data.startswith(magic):
            raise _FormatError(f"the file is a {kind}, not safetensors")
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER, len(data) - 8):
        raise _FormatError("it is not in safetensors format, or is cut short")
    header = json.loads(data[8 : 8 + length], object_pairs_hook=_no_duplicates)
    config_text = header.pop("__metadata__", {}).get("lineas.config")
    if config_text is None:
        raise _FormatError(
            "the file has tensors other than scales and shifts; it may be a LoRA or a model"
        )
    config = json.loads(config_text, object_pairs_hook=_no_duplicates)
    if re.search("[\ud800-\udfff]", json.dumps(config, ensure_ascii=False)):
        raise _FormatError("its metadata contains half a character")
    if config["format_version"] > FORMAT_VERSION:
        raise _FormatError(
            f"it has format {config['format_version']}, this version reads formats up to "
            f"{FORMAT_VERSION}"
        )
    if not config["modules"]:
        raise _FormatError("it steers no module")
    expected = {
        f"{name}.{part}": ("F32", [width])
        for name, width in config["modules"].items()
        for part in ("scale", "shift")
    }
    if {key: (entry["dtype"], entry["shape"]) for key, entry in header.items()} != expected:
        raise _FormatError("its tensors are not the ones that its metadata names")
    return safetensors.torch.load(data), config


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _FormatError("its header has a key twice")
    return table


def _config(
    maps: SteeringMaps, tensors: dict[str, Tensor], prompts: PromptSet | None
) -> dict[str, Any]:
    """Return the metadata to save; the maps' own replaces that of the prompts."""
    about: dict[str, Any] = {}
    if prompts is not None:
        about = {
            "title": prompts.name,
            "description": prompts.description,
            "keywords": list(prompts.keywords),
            "concept_kind": prompts.kind,  # `kind` is that of the model
        }
    return {
        "date": date.today().isoformat(),
        **about,
        **maps.metadata,
        "format_version": FORMAT_VERSION,
        "modules": {name: m.width for name, m in maps.items()},
        "sha256": _sha256(tensors),
    }


def _prompts_json(prompts: PromptSet) -> bytes:
    kept = {k: v for k, v in asdict(prompts).items() if v and k != "dropped"}
    return json.dumps(kept, indent=1, ensure_ascii=False).encode()


def _tensors(maps: SteeringMaps) -> dict[str, Tensor]:
    rows = {}
    for name, step in maps.items():
        rows[f"{name}.scale"], rows[f"{name}.shift"] = step.scale, step.shift
    return {k: v.detach().to("cpu", torch.float32).contiguous() for k, v in rows.items()}


def _sha256(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(tensors[key].numpy().tobytes())
    return digest.hexdigest()


def _saved_sha256(folder: Path) -> str | None:
    try:
        return load_maps(folder).metadata["sha256"]
    except UserError:
        return None


def _usable(tensors: dict[str, Tensor]) -> bool:
    return all(bool((v.abs() <= _MAX_VALUE).all()) for v in tensors.values())  # False for NaN
