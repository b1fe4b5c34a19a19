"""Conversion of pickled weights to safetensors, before anything else reads them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from lineas_core.errors import UserError, first_line, is_disk_full
from lineas_core.models import unpickle
from lineas_core.runtime.children import run_child

__all__ = ["conversion_errors", "convert_pickle"]


def convert_pickle(
    pickle: Path, target: Path, progress: Callable[[int], None] = lambda _: None
) -> Path:
    """Convert a pickled state dict to safetensors in a separate process.

    Args:
        pickle: the downloaded file.
        target: the safetensors file; kept if it exists. Its folder is created if missing.
        progress: called every quarter of a second with the bytes that are written; an exception
            that it raises ends the conversion, and nothing is left of it.

    Returns:
        The target.

    Raises:
        UserError: the file is damaged, or holds code or anything else than named tensors; there is
            not enough memory; or the target cannot be written. No target is left behind.
    """
    if target.is_file():
        return target
    with conversion_errors(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        # A folder per call: two processes may convert the same file at the same time.
        with TemporaryDirectory(dir=target.parent) as folder:
            unfinished = Path(folder) / target.name
            # -P: modules must not be imported from the script's folder.
            command = [sys.executable, "-P", unpickle.__file__, str(pickle), str(unfinished)]
            result = run_child(command, lambda: progress(_size(unfinished)))
            if result.returncode:
                raise _failed(pickle, target.parent, result)
            unfinished.replace(target)
    return target


def _size(file: Path) -> int:
    """Return how many bytes a file has; 0 if there is none."""
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


@contextmanager
def conversion_errors(folder: Path) -> Iterator[None]:
    """Raise the errors of writing converted weights as one `UserError`.

    Args:
        folder: where they are written.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise _not_written(folder, reason) from error


def _failed(pickle: Path, folder: Path, result: subprocess.CompletedProcess[str]) -> UserError:
    """Return the error for a conversion that failed."""
    if is_disk_full(result.stderr):
        return _not_written(folder, result.stderr)
    # A process that takes more memory than there is, is killed by the system.
    if result.returncode < 0 or any(each in result.stderr for each in _OUT_OF_MEMORY):
        what = "the weights were not converted: there is not enough memory"
        remedy = "Close other programs, or choose a smaller model."
        return UserError("E_MEMORY", what, where=pickle.name, remedy=remedy)
    return UserError(
        "E_PICKLE",
        "the weights were rejected: the file is damaged or holds more than tensors",
        where=pickle.name,
        remedy="Delete it and download it again from the author's repository.",
    )


def _not_written(folder: Path, reason: str) -> UserError:
    reason, remedy = (
        ("the disk is full", "Free some space.")
        if is_disk_full(reason)
        else (f"the folder cannot be written ({reason})", "Check its permissions.")
    )
    what = f"the weights were not converted: {reason}"
    return UserError("E_DISK", what, where=str(folder), remedy=remedy)


_OUT_OF_MEMORY = ("MemoryError", "allocate memory")
