"""What a name, a folder or a configuration says about a model before its weights are read."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import transformers  # not `from`: its classes take seconds to import, so each loads on first use

from lineas_core.errors import UserError
from lineas_core.models.integrity import CONFIG, damage

__all__ = ["BIN", "check_folder", "check_writes", "without_weights"]

BIN = (
    "Pickled weights are not read, because they can run code: choose a repository with "
    "safetensors files, or convert them with transformers on a machine where you trust them."
)
"""What to do about weights that exist as .bin files only."""

_GGUF = "Give the folder or hub id of the model that the GGUF file was made from."
_AGAIN = "Copy or download them again."
_WRITERS = "Choose a decoder, such as smollm2-135m."


def check_folder(name: str) -> None:
    """Check that a path leads to the folder of a whole model; hub ids pass.

    Raises:
        UserError: it leads to a file, to nothing, or to a folder that lacks something.
    """
    path = Path(name).expanduser()
    if path.is_file():
        remedy = f"Give the folder that contains it, with {CONFIG} and tokenizer."
        remedy = _GGUF if path.suffix == ".gguf" else remedy
        raise UserError("E_MODEL", f"{name!r} is a file, not the folder of a model", remedy=remedy)
    if path.is_dir() and (reason := damage(path)):
        remedy = without_weights([file.name for file in path.iterdir()]) or _AGAIN
        what = f"the model {name!r} could not be loaded, its files are damaged ({reason})"
        if remedy != _AGAIN:
            what = f"the model {name!r} could not be loaded ({reason})"
        raise UserError("E_MODEL", what, remedy=remedy)
    if not path.exists() and (path.is_absolute() or name.startswith((".", "~"))):
        raise UserError("E_MODEL", f"there is no folder {name!r}", remedy="Check the path.")


def without_weights(names: Collection[str]) -> str:
    """Say what to do about files that are not those of a whole model.

    Args:
        names: names of the files.

    Returns:
        A sentence; empty if the files do not tell what they are.
    """
    endings = {Path(name).suffix for name in names}
    if "adapter_config.json" in names and CONFIG not in names:
        return "It holds an adapter: merge it with `merge_and_unload` of peft, and save that."
    if ".safetensors" in endings:
        return ""
    return _GGUF if ".gguf" in endings else BIN if ".bin" in endings else ""


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
    if encoder or type(config) not in transformers.MODEL_FOR_CAUSAL_LM_MAPPING:
        what = f"{str(source)!r} is a {kind}, which writes no texts"
        raise UserError("E_MODEL", what, remedy=_WRITERS)
