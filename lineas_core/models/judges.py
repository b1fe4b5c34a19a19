"""Networks from the hub that judge what the steered models make; they are never steered.

The paper's own: CLIP for concepts, DINOv2 for likeness, a RoBERTa for toxicity. Each is loaded
once, the first time that it is asked.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
import transformers  # its classes take seconds to import: only when one is asked for
from huggingface_hub import hf_hub_download, snapshot_download
from safetensors import SafetensorError
from safetensors.torch import load_file

from lineas_core.errors import UserError, first_line
from lineas_core.models.hub import unreachable
from lineas_core.models.pickled import convert_pickle

__all__ = ["Kind", "load_judge"]

Kind = Literal["clip", "dinov2", "roberta"]
"""CLIP reads pictures and texts, DINOv2 pictures, RoBERTa texts."""

_SAFE, _PICKLED = "model.safetensors", "pytorch_model.bin"


@cache
def load_judge(kind: Kind, source: str) -> tuple[Any, Any]:
    """The network, frozen in float32 and on the GPU when there is one, and its processor.

    The hub is not asked for what is on this machine already.

    Args:
        kind: the architecture.
        source: hub id, or a folder with the same files.

    Returns:
        The transformers model; the processor that turns pictures or texts into its arguments.

    Raises:
        UserError: it is neither on this machine nor to be had, or its files are damaged.
    """
    folder = _folder(source)
    class_name, processor_of = _KINDS[kind]
    try:
        network = _network(getattr(transformers, class_name), folder)
        processor = processor_of(folder)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError, SafetensorError) as error:
        if isinstance(error, UserError | torch.OutOfMemoryError):
            raise
        raise _missing(source, f"is incomplete or damaged ({first_line(error)})") from error
    network.eval().requires_grad_(False)
    return network.to("cuda" if torch.cuda.is_available() else "cpu"), processor


def _folder(source: str) -> Path:
    """Where the files lie, weights included; downloads what is not there yet."""
    if Path(source).is_dir():
        return Path(source)
    try:
        folder = Path(snapshot_download(source, local_files_only=True))
        if any((folder / name).is_file() for name in (_SAFE, _PICKLED)):
            return folder
    except (OSError, ValueError):
        pass  # never asked for on this machine
    if unreachable():
        raise _missing(source, "is not on this machine, and the hub does not answer")
    try:
        folder = Path(snapshot_download(source, allow_patterns=["*.json", "*.txt", _SAFE]))
        if not (folder / _SAFE).is_file():
            hf_hub_download(source, _PICKLED)
    except (OSError, ValueError) as error:
        raise _missing(source, f"could not be downloaded ({first_line(error)})") from error
    return folder


def _network(network_class: Any, folder: Path) -> Any:
    """Older repositories have a pickle only, which is rewritten before it is read."""
    options: dict[str, Any] = {"dtype": torch.float32, "local_files_only": True}
    if (folder / _SAFE).is_file() or not (folder / _PICKLED).is_file():
        return network_class.from_pretrained(folder, use_safetensors=True, **options)
    with TemporaryDirectory() as place:
        state = load_file(convert_pickle(folder / _PICKLED, Path(place) / _SAFE))
        config = transformers.AutoConfig.from_pretrained(folder, **options)
        return network_class.from_pretrained(None, config=config, state_dict=state, **options)


def _tokenizer(folder: Path) -> Any:
    return transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)


def _image_processor(folder: Path) -> Any:
    # Pillow's also where torchvision is installed: the two resize differently.
    return transformers.AutoImageProcessor.from_pretrained(
        folder, backend="pil", local_files_only=True
    )


_KINDS: dict[Kind, tuple[str, Callable[[Path], Any]]] = {
    "clip": (
        "CLIPModel",
        lambda folder: transformers.CLIPProcessor(_image_processor(folder), _tokenizer(folder)),
    ),
    "dinov2": ("Dinov2Model", _image_processor),
    "roberta": ("RobertaForSequenceClassification", _tokenizer),
}


def _missing(source: str, why: str) -> UserError:
    remedy = f"Run `hf download {source}` where there is a connection."
    if Path(source).is_dir():
        remedy = "Put the files there that its repository has on the hub."
    what = f"the network that judges results {why}"
    return UserError("E_NOT_INSTALLED", what, where=source, remedy=remedy)
