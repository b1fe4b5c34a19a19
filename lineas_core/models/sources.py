"""What a name, a folder or a configuration says about a model before its weights are read."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import transformers  # not `from`: its classes take seconds to import, so each loads on first use

from lineas_core.errors import UserError, first_line
from lineas_core.models.hub import INDEX
from lineas_core.models.integrity import CONFIG, damage, missing_index, weights_of

__all__ = [
    "ADAPTER",
    "BIN",
    "auto_class",
    "check_folder",
    "check_path",
    "check_writes",
    "without_weights",
]

ADAPTER = "adapter_config.json"
"""File that identifies an adapter of peft."""
BIN = (
    "Pickled weights can contain code, and only those of a language model that are called "
    "pytorch_model.bin are converted: choose a repository with safetensors files, or convert them "
    "with transformers on a machine where you trust them."
)
"""What to do about pickled weights that are not read."""

_GGUF = "Give the folder or hub id of the model that the GGUF file was made from."
_OTHER = "Its weights are for another library: choose a repository with safetensors files."
_ENDINGS = {
    ".gguf": _GGUF,
    **dict.fromkeys((".bin", ".ckpt", ".pt", ".pth"), BIN),
    **dict.fromkeys((".h5", ".msgpack", ".onnx"), _OTHER),
}
_MERGE = (
    "Merge it into its model (with peft: `merge_and_unload`; with diffusers: `fuse_lora` and "
    f"`unload_lora_weights`), and save that. If it is merged already, remove {ADAPTER}."
)
_SINGLE = (
    "If it is a picture model in one file, load it with `from_single_file` of its diffusers "
    "pipeline, save that with `save_pretrained`, and give that folder."
)
_AGAIN = "Copy or download them again."
_WRITERS = "Choose a decoder, such as smollm2-135m."


def check_path(name: str) -> None:
    """Check that a name is no path to a file, to nothing, or to what cannot be read.

    Raises:
        UserError: it is.
    """
    try:
        path = Path(name).expanduser()
        if path.is_dir():
            next(path.iterdir(), None)  # raises if the folder cannot be read
            return
        if path.is_file():
            remedy = f"Give the folder that contains it, with {CONFIG} and tokenizer."
            remedy = remedy if (path.parent / CONFIG).is_file() else _SINGLE
            if not weights_of([path.name]) or remedy == _SINGLE:
                remedy = _ENDINGS.get(path.suffix, remedy)
            what = f"{name!r} is a file, not the folder of a model"
            raise UserError("E_MODEL", what, remedy=remedy)
        missing = not path.exists() and (path.is_absolute() or name.startswith((".", "~")))
    except (OSError, RuntimeError) as error:  # the latter if there is no such home folder
        reason = getattr(error, "strerror", "") or first_line(error).rstrip(".")
        remedy = "Check the path and its permissions."
        raise UserError("E_MODEL", f"{name!r:.200} ({reason})", remedy=remedy) from error
    if missing:
        raise UserError("E_MODEL", f"there is no folder {name!r}", remedy="Check the path.")


def check_folder(folder: Path, name: str, *, whole: bool) -> None:
    """Check that a folder has a language model or a pipeline.

    Args:
        folder: the folder; of a repository, it has configurations alone.
        name: name of the model, for the error.
        whole: also check that the files are complete.

    Raises:
        UserError: it has an adapter or a part of a pipeline, or lacks something.
    """
    if (folder / ADAPTER).is_file():
        what = f"the model {name!r} could not be loaded (it holds an adapter)"
        raise UserError("E_MODEL", what, remedy=_MERGE)
    if not (folder / INDEX).is_file() and (kind := _part(folder)):
        remedy = f"Give the folder or hub id of the whole pipeline, with {INDEX}."
        raise UserError("E_MODEL", f"{name!r} is the {kind} of a pipeline", remedy=remedy)
    if whole and (reason := damage(folder)):
        inner = _inner(folder)
        remedy = f"Give a folder inside it, such as {str(inner)!r}." if inner else ""
        remedy = remedy or without_weights([file.name for file in folder.iterdir()])
        what = f"the model {name!r} could not be loaded"
        what += f" ({reason})" if remedy else f", its files are damaged ({reason})"
        raise UserError("E_MODEL", what, remedy=remedy or _AGAIN)


def _part(folder: Path) -> str:
    """Return which part of a pipeline a folder has; empty if it has none."""
    if (folder.parent / INDEX).is_file():
        return folder.name
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        return str(config.get("_class_name", ""))
    except (OSError, ValueError, AttributeError, RecursionError):
        return ""  # what is wrong with it is told when it is loaded


def _inner(folder: Path) -> Path | None:
    """Return a folder inside that has a model, such as a checkpoint of a training run."""
    if any((folder / name).is_file() for name in (CONFIG, INDEX)):
        return None
    found = (file for name in (INDEX, CONFIG) for file in sorted(folder.glob(f"*/{name}")))
    # The folder of a repository in the hub's cache.
    kept = (file for name in (INDEX, CONFIG) for file in folder.glob(f"snapshots/*/{name}"))
    return next((file.parent for files in (found, kept) for file in files), None)


def without_weights(names: Collection[str]) -> str:
    """Say what to do about files that are not those of a whole model.

    Args:
        names: names of the files.

    Returns:
        A sentence; empty if the files do not tell what they are.
    """
    endings = {Path(name).suffix for name in names}
    if "pytorch_lora_weights.safetensors" in names or ADAPTER in names:
        return f"It holds an adapter. {_MERGE}"
    if ".safetensors" in endings:
        return _SINGLE if missing_index(names) and not {CONFIG, INDEX} & {*names} else ""
    return next((remedy for ending, remedy in _ENDINGS.items() if ending in endings), "")


def check_writes(config: Any, source: str | Path) -> None:
    """Check that the network of a configuration continues texts.

    Raises:
        UserError: it is an encoder with a decoder, or made for something else.
    """
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        what = f"{str(source)!r} is a {kind}, an encoder with a decoder, which is not supported"
        raise UserError("E_MODEL", what, remedy=_WRITERS)
    # Some encoders have a class that writes texts, for decoders made from them.
    encoder = type(config) in transformers.MODEL_FOR_MASKED_LM_MAPPING
    encoder &= not getattr(config, "is_decoder", False)
    if encoder or not any(type(config) in known for known in _mappings()):
        what = f"{str(source)!r} is a {kind}, which writes no texts"
        raise UserError("E_MODEL", what, remedy=_WRITERS)


def auto_class(config: Any) -> Any:
    """Return the auto class of transformers that builds the network which writes texts.

    Of a network that also reads pictures this is the one for both, unless a class for texts alone
    leaves out its other weights.

    Args:
        config: configuration of the network, which passes `check_writes`.
    """
    texts, both = (known.get(type(config), None) for known in _mappings())
    named = both and both.__name__ in (config.architectures or [])
    if texts is None or (named and not texts._keys_to_ignore_on_load_unexpected):
        return transformers.AutoModelForImageTextToText
    return transformers.AutoModelForCausalLM


def _mappings() -> tuple[Any, Any]:
    """Return the classes for texts, and those for texts and pictures, by configuration."""
    return (
        transformers.MODEL_FOR_CAUSAL_LM_MAPPING,
        transformers.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
    )
