"""Networks from the hub that score the results of steered models; they are never steered.

As in the paper: CLIP for concepts, DINOv2 for similarity, a RoBERTa for toxicity. Each is loaded
once, on first use.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
import transformers  # not `from`: its classes take seconds to import, so each loads on first use
from huggingface_hub import hf_hub_download, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file

from lineas_core.errors import UserError, first_line
from lineas_core.models.hub import HUB_ERRORS, failure, unreachable
from lineas_core.models.pickled import convert_pickle
from lineas_core.runtime.loading import LOADING

__all__ = ["Architecture", "load_judge"]

Architecture = Literal["clip", "dinov2", "roberta"]
"""CLIP takes pictures and texts, DINOv2 pictures, RoBERTa texts."""

_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"
_FILES = ["*.json", "*.txt", _SAFE]


@cache
def load_judge(architecture: Architecture, source: str) -> tuple[Any, Any]:
    """Load a network that scores results, frozen, in float32 and on the GPU if there is one.

    Cached files are used without asking the hub.

    Args:
        architecture: architecture of the network.
        source: hub id, or a folder with the same files.

    Returns:
        The transformers model, and the processor that turns pictures or texts into its
        arguments.

    Raises:
        UserError: the network is neither on this machine nor available from the hub, or its
            files are damaged.
    """
    folder = _folder(source)
    class_name, load_processor = _LOADERS[architecture]
    try:
        with LOADING:
            network = _network(getattr(transformers, class_name), folder)
        processor = load_processor(folder)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, UserError | torch.OutOfMemoryError):
            raise
        raise _unavailable(source, f"is incomplete or damaged ({first_line(error)})") from error
    network.eval().requires_grad_(False)
    return network.to("cuda" if torch.cuda.is_available() else "cpu"), processor


def _folder(source: str) -> Path:
    """Return the folder of the files; downloads those that are missing."""
    if Path(source).is_dir():
        return Path(source)
    try:
        folder = Path(snapshot_download(source, local_files_only=True, allow_patterns=_FILES))
        if any((folder / name).is_file() for name in (_SAFE, _PICKLED)):
            return folder
    except HUB_ERRORS:
        pass  # not in the cache
    if unreachable():
        raise _unavailable(source, "is not on this machine, and the hub does not answer")
    try:
        folder = Path(snapshot_download(source, allow_patterns=_FILES))
        if not (folder / _SAFE).is_file():
            hf_hub_download(source, _PICKLED)
    except HUB_ERRORS as error:
        reason, remedy = failure(error, source) or (first_line(error), "")
        raise _unavailable(source, f"could not be downloaded ({reason})", remedy) from error
    return folder


def _network(network_class: Any, folder: Path) -> Any:
    """Load the weights; a pickle, which older repositories have, is first converted."""
    options: dict[str, Any] = {"dtype": torch.float32, "local_files_only": True}
    if (folder / _SAFE).is_file() or not (folder / _PICKLED).is_file():
        return network_class.from_pretrained(folder, use_safetensors=True, **options)
    with TemporaryDirectory() as scratch:
        state = load_file(convert_pickle(folder / _PICKLED, Path(scratch) / _SAFE))
        config = transformers.AutoConfig.from_pretrained(folder, **options)
        return network_class.from_pretrained(None, config=config, state_dict=state, **options)


def _tokenizer(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _image_processor(folder: Path) -> Any:
    # Explicitly Pillow, because torchvision's processor resizes differently.
    return transformers.AutoImageProcessor.from_pretrained(
        folder, backend="pil", local_files_only=True
    )


_LOADERS: dict[Architecture, tuple[str, Callable[[Path], Any]]] = {
    "clip": (
        "CLIPModel",
        lambda folder: transformers.CLIPProcessor(_image_processor(folder), _tokenizer(folder)),
    ),
    "dinov2": ("Dinov2Model", _image_processor),
    "roberta": ("RobertaForSequenceClassification", _tokenizer),
}


def _unavailable(source: str, why: str, remedy: str = "") -> UserError:
    remedy = remedy or f"Run `hf download {source}` while connected to the internet."
    if Path(source).is_dir():
        remedy = "Put the files of its hub repository into this folder."
    what = f"the network that scores results {why}"
    return UserError("E_NOT_INSTALLED", what, where=source, remedy=remedy)
