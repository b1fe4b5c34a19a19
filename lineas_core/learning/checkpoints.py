"""The state of a run in a file, from which the same run continues bit for bit."""

from __future__ import annotations

import time
from pathlib import Path

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.lineas import Iterate
from lineas_core.storage.disk import saving, write_atomically

__all__ = ["Checkpoint"]

_SECONDS = 30  # between two states


class Checkpoint:
    """The file with the latest state of a run."""

    def __init__(self, file: Path, run: str = "") -> None:
        """Name the file, and the run: a digest of what it depends on, or empty."""
        self._file, self._run, self._saved = file, run, time.monotonic()

    def read(self) -> dict[str, Tensor] | None:
        """Return the state; None if there is no file.

        Raises:
            UserError: the file is damaged, or is that of another run.
        """
        if not self._file.exists():
            return None
        try:
            with safe_open(self._file, "pt") as opened:
                run = (opened.metadata() or {}).get("run", "")
            state = safetensors.torch.load_file(self._file)
        except (OSError, SafetensorError) as error:
            reason = f"the checkpoint cannot be read ({error})"
            raise self._refusal(reason) from error
        if run != self._run:
            raise self._refusal("the checkpoint belongs to a run with other prompts or settings")
        return state

    def write_if_due(self, iterate: Iterate) -> bool:
        """Save the state of an iterate if the last one is old; return whether it was saved.

        Raises:
            UserError: the file cannot be written; the last state is kept.
        """
        if due := time.monotonic() - self._saved > _SECONDS:
            self.write(iterate)
        return due

    def write(self, iterate: Iterate) -> None:
        """Save the state of an iterate; errors as in `write_if_due`."""
        with saving("the checkpoint was", self._file):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, safetensors.torch.save(iterate.state, {"run": self._run}))
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Remove the file, at the end of the run."""
        self._file.unlink(missing_ok=True)

    def _refusal(self, what: str) -> UserError:
        remedy = "Delete it to start anew, or give another file."
        return UserError("E_RESUME", what, where=str(self._file), remedy=remedy)
