"""What a name, a folder or a configuration says about a model before its weights are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

from lineas_core.errors import UserError
from lineas_core.models.integrity import CONFIG, damage

__all__ = ["BIN", "check_folder", "check_writes"]

BIN = (
    "Pickled weights are not read, because they can run code: choose a repository with "
    "safetensors files, or convert them with transformers on a machine where you trust them."
)
"""What to do about weights that exist as .bin files only."""

_GGUF = "Give the folder or hub id of the model that the GGUF file was made from."
_WRITERS = "Choose a decoder, such as smollm2-135m."


def check_folder(name: str) -> None:
    """Check that a path leads to the folder of a whole model; hub ids pass.

    Raises:
        UserError: it leads to a file, to nothing, or to a folder that lacks something.
    """
    path = Path(name)
    if path.is_file():
        remedy = f"Give the folder that contains it, with {CONFIG} and tokenizer."
        remedy = _GGUF if path.suffix == ".gguf" else remedy
        raise UserError("E_MODEL", f"{name!r} is a file, not the folder of a model", remedy=remedy)
    if path.is_dir() and (reason := damage(path)):
        remedy = _missing(path) or "Copy or download them again."
        what = f"the model {name!r} could not be loaded, its files are damaged ({reason})"
        if remedy != "Copy or download them again.":
            what = f"the model {name!r} could not be loaded ({reason})"
        raise UserError("E_MODEL", what, remedy=remedy)
    if not path.exists() and (path.is_absolute() or name.startswith((".", "~"))):
        raise UserError("E_MODEL", f"there is no folder {name!r}", remedy="Check the path.")


def _missing(folder: Path) -> str:
    """Say what to do about a folder that holds something else; empty if it holds nothing."""
    if (folder / "adapter_config.json").is_file() and not (folder / CONFIG).is_file():
        return "It holds an adapter: merge it with `merge_and_unload` of peft, and save that."
    if any(folder.glob("*.safetensors")):
        return ""
    if any(folder.glob("*.gguf")):
        return _GGUF
    return BIN if any(folder.glob("*.bin")) else ""


def check_writes(config: Any, source: str | Path) -> None:
    """Check that the network of a configuration continues texts.

    Raises:
        UserError: it is an encoder with a decoder, or made for something else.
    """
    kind = config.model_type
    if getattr(config, "is_encoder_decoder", False):
        what = f"{str(source)!r} is a {kind}, an encoder with a decoder, which is not supported"
        raise UserError("E_MODEL", what, remedy=_WRITERS)
    if type(config) not in MODEL_FOR_CAUSAL_LM_MAPPING:
        raise UserError(
            "E_MODEL", f"{str(source)!r} is a {kind}, which writes no texts", remedy=_WRITERS
        )
