"""The checkpoints of a job: the latest one, and the one before it in case that one is damaged."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from lineas_core.storage.disk import read_regular, write_atomically

__all__ = ["restore_checkpoint", "save_checkpoint"]

_LATEST, _BEFORE = "state.safetensors", "state-before.safetensors"
_DAMAGED = "state-damaged.safetensors"
_UNREADABLE = (OSError, ValueError, LookupError, TypeError, AttributeError, SafetensorError)


def save_checkpoint(state: dict[str, Tensor], folder: Path) -> None:
    """Save the state of a run with a checksum, and keep the checkpoint before it.

    Raises:
        OSError: the file cannot be written; the checkpoint before it is kept.
    """
    data = safetensors.torch.save(state, {"sha256": _sha256(state)})
    if (folder / _LATEST).exists():
        (folder / _LATEST).replace(folder / _BEFORE)
    write_atomically(folder / _LATEST, data)


def restore_checkpoint(folder: Path) -> tuple[dict[str, Tensor] | None, str]:
    """Read the latest checkpoint that is whole; a damaged one is renamed.

    Returns:
        The state, None without any; and a sentence if a checkpoint was damaged, otherwise empty.
    """
    damaged = False
    for file in (folder / _LATEST, folder / _BEFORE):
        if not file.exists():
            continue
        try:
            state = _read(file)
        except _UNREADABLE:
            file.replace(folder / _DAMAGED)  # else it would become the one before the next
            damaged = True
            continue
        start = int(state["iteration"])
        note = f"The latest checkpoint was damaged; the run continued from iteration {start}."
        return state, note if damaged else ""
    return None, "The checkpoint was damaged; the run started again." if damaged else ""


def _read(file: Path) -> dict[str, Tensor]:
    """Read a checkpoint; those of early versions have no checksum."""
    data = read_regular(file)
    state = safetensors.torch.load(data)
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    expected = header.get("__metadata__", {}).get("sha256")
    if expected is not None and _sha256(state) != expected:
        raise ValueError("the checksum does not match")
    return state


def _sha256(state: dict[str, Tensor]) -> str:
    # The format sorts the tensors, so that equal states have equal bytes.
    return hashlib.sha256(safetensors.torch.save(state)).hexdigest()
