"""Learnt maps on disk: one folder per map, written atomically, read strictly.

    lineas.safetensors     <module>.scale and <module>.shift, float32, (d,) each
    lineas_config.json     the metadata again, for people and other tools
    prompts.json           the prompts it was learnt from
    README.md              a model card

Nothing in a file is ever executed. safetensors itself accepts duplicate keys, NaN and any
number of tensors, so a parser of our own looks at every byte first.
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
    """Write maps into a folder, in the place of an older version there.

    Each file is whole at any time; the weights come last, so until then they are the older ones.

    Args:
        maps: what was learnt; `metadata` must be JSON-like.
        folder: made if missing.
        prompts: the prompts the maps were learnt from, kept beside them; their name,
            description and keywords go into the metadata where it has none of its own. None
            leaves those that are there, unless other maps were learnt from them.

    Returns:
        The folder.

    Raises:
        UserError: a value is not finite or absurdly large, or the disk refuses.
    """
    folder = Path(folder)
    tensors = _tensors(maps)
    if not _usable(tensors):
        raise UserError(
            "E_VALUES",
            f"the map holds values that are not finite or beyond {_MAX_VALUE:g}",
            where=folder.name,
            remedy="Learn it again: with a lower learning rate, or with prompts that differ less.",
        )
    about = (
        {}
        if prompts is None
        else {
            "title": prompts.name,
            "description": prompts.description,
            "keywords": list(prompts.keywords),
        }
    )
    config = {
        "date": date.today().isoformat(),
        **about,
        **maps.metadata,
        "format_version": FORMAT_VERSION,
        "modules": {name: m.width for name, m in maps.items()},
        "sha256": _digest(tensors),
    }
    metadata = {"format": "pt", "lineas.config": json.dumps(config), **_modelspec(config)}
    files = {
        "README.md": _card(config).encode(),
        "lineas_config.json": json.dumps(config, indent=2).encode(),
        # Last: a folder counts as a map once its weights are there.
        _WEIGHTS: safetensors.torch.save(tensors, metadata),
    }
    if prompts is not None:
        kept = {k: v for k, v in asdict(prompts).items() if v and k != "dropped"}
        files = {_PROMPTS: json.dumps(kept, indent=1, ensure_ascii=False).encode(), **files}
    with saving("the map was", folder):
        folder.mkdir(parents=True, exist_ok=True)
        if prompts is None and holds_maps(folder) and _sum_of(folder) != config["sha256"]:
            (folder / _PROMPTS).unlink(missing_ok=True)  # of the map that was here before
        for name, data in files.items():
            write_atomically(folder / name, data)
    return folder


def holds_maps(folder: Path) -> bool:
    """Whether maps were saved into a folder to the end."""
    return (folder / _WEIGHTS).is_file()


def load_maps(path: str | Path) -> SteeringMaps:
    """Read learnt maps.

    Args:
        path: their folder, the safetensors file alone, or the name of a ready-made map.

    Raises:
        UserError: the file is missing, is something else, or is damaged; says which.
    """
    path = next((p for p in (Path(path), ASSETS / "maps" / path) if p.exists()), Path(path))
    with _refusals(path.name):
        tensors, config = _read(path / _WEIGHTS if path.is_dir() else path)
        if _digest(tensors) != config.get("sha256"):
            raise _Refusal("it is damaged: its checksum does not match")
        if not _usable(tensors):
            raise _Refusal(f"it holds values that are not finite or beyond {_MAX_VALUE:g}")
    return SteeringMaps(
        {n: AffineMap(tensors[f"{n}.scale"], tensors[f"{n}.shift"]) for n in config["modules"]},
        config,
    )


def check_fits(maps: SteeringMaps, model: SteerableModel) -> None:
    """Refuse maps that were learnt on another model.

    Raises:
        UserError: names both models.
    """
    names = list(maps)
    known = {name for name, _ in model.network.named_modules()}
    made_for = maps.metadata.get("model", "another model")
    if set(names) <= known:
        expected = maps.metadata.get("fingerprint")
        if expected is None or fingerprint(model.network, names) == expected:
            return
    raise UserError(
        "E_MODEL",
        f"this map was made for {made_for}, the loaded model is {model.name}",
        remedy=f"Load {made_for}, or learn the map again on {model.name}.",
    )


class _Refusal(Exception):  # noqa: N818 - becomes a UserError with the file's name
    """Why a file is not taken."""


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    try:
        yield
        return
    except FileNotFoundError:
        reason = f"there is no {_WEIGHTS} here"
    except _Refusal as refusal:
        reason = str(refusal)
    except _MALFORMED as error:
        reason = f"its header is malformed ({type(error).__name__})"
    raise UserError(
        "E_FILE",
        f"this is not a usable steering map, {reason}",
        where=name,
        remedy="Download it or learn it again.",
    )


def _read(file: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and config, after the header has been found to hold just what it should."""
    if not file.is_file():
        raise FileNotFoundError(file)
    if file.stat().st_size > _MAX_FILE:
        raise _Refusal(f"it has more than {_MAX_FILE >> 20} MB")
    data = file.read_bytes()
    for magic, kind in ((b"PK", "it is a zip archive or a pickle"), (b"GGUF", "it is a model")):
        if data.startswith(magic):
            raise _Refusal(kind)
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or length > min(_MAX_HEADER, len(data) - 8):
        raise _Refusal("it is not in safetensors format, or cut short")
    header = json.loads(data[8 : 8 + length], object_pairs_hook=_no_duplicates)
    config_text = header.pop("__metadata__", {}).get("lineas.config")
    if config_text is None:
        raise _Refusal("it holds other tensors (a LoRA or a model?)")
    config = json.loads(config_text, object_pairs_hook=_no_duplicates)
    if re.search("[\ud800-\udfff]", json.dumps(config, ensure_ascii=False)):
        raise _Refusal("its metadata holds half a character")
    if config["format_version"] > FORMAT_VERSION:
        raise _Refusal(
            f"it has format {config['format_version']}, this version reads up to {FORMAT_VERSION}"
        )
    if not config["modules"]:
        raise _Refusal("it steers no module")
    expected = {
        f"{name}.{part}": ("F32", [width])
        for name, width in config["modules"].items()
        for part in ("scale", "shift")
    }
    if {key: (entry["dtype"], entry["shape"]) for key, entry in header.items()} != expected:
        raise _Refusal("its tensors are not the ones that its metadata names")
    return safetensors.torch.load(data), config


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise _Refusal("its header names something twice")
    return table


def _tensors(maps: SteeringMaps) -> dict[str, Tensor]:
    rows = {}
    for name, step in maps.items():
        rows[f"{name}.scale"], rows[f"{name}.shift"] = step.scale, step.shift
    return {k: v.detach().to("cpu", torch.float32).contiguous() for k, v in rows.items()}


def _digest(tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for key in sorted(tensors):
        digest.update(tensors[key].numpy().tobytes())
    return digest.hexdigest()


def _sum_of(folder: Path) -> str | None:
    try:
        return load_maps(folder).metadata["sha256"]
    except UserError:
        return None


def _usable(tensors: dict[str, Tensor]) -> bool:
    return all(bool((v.abs() <= _MAX_VALUE).all()) for v in tensors.values())  # False for NaN


def _modelspec(config: dict[str, Any]) -> dict[str, str]:
    """Keys that other tools show (Stability AI ModelSpec 1.0.1)."""
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{config.get('model', 'unknown')}/lineas",
        "modelspec.implementation": "lineas-studio",
        "modelspec.title": str(config.get("title", "")),
        "modelspec.description": str(config.get("description", "")),
        "modelspec.date": str(config.get("date", "")),
        "modelspec.license": str(config.get("license", "")),
        "modelspec.usage_hint": "strength from -1 (inverse) through 0 (untouched) to 1 (full)",
        "modelspec.hash_sha256": config["sha256"],
    }


_SCALE = (
    "Learnt with LinEAS Studio. Strength 0 is the untouched model, 1 the full transport; negative "
    "strengths apply the inverse maps."
)


def _card(config: dict[str, Any]) -> str:
    """The model card: front matter as the hub reads it, then a few facts."""
    model, title = config.get("model", "unknown"), config.get("title") or "Steering map"
    front = {
        "base_model": model,
        "base_model_relation": "adapter",
        "tags": ["lineas", "activation-steering"],
        "license": config.get("license"),
    }
    facts = {
        "Base model": model,
        "Method": config.get("method"),
        "Modules steered": len(config["modules"]),
        "Prompts": f"{config.get('source_size')} source, {config.get('target_size')} target",
        "Iterations": config.get("iteration"),
        "Held-out distance before": config.get("heldout_start"),
        "Held-out distance after": config.get("heldout"),
    }
    lines = ["---", *(f"{k}: {json.dumps(v)}" for k, v in front.items() if v), "---", ""]
    lines += [f"# {title}", "", str(config.get("description", "")), ""]
    lines += [f"- {k}: {v}" for k, v in facts.items() if v is not None]
    lines += ["", _SCALE, ""]
    return "\n".join(lines)
