"""Atomic writes of files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from lineas_core.errors import UserError

__all__ = ["saving", "write_atomically"]


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that after a crash either the old or the new content is there in full.

    Args:
        path: the file; its folder must exist.
        data: the new content.

    Raises:
        OSError: the file cannot be written; the old one is kept.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
    with suppress(OSError):  # not every file system can sync a folder, and Windows cannot
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def saving(what: str, where: Path) -> Iterator[None]:
    """Raise an `OSError` of the block as a `UserError`.

    Args:
        what: beginning of the message, such as `the map was`, before "not saved".
        where: the file or folder to name.

    Raises:
        UserError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            "E_DISK",
            f"{what} not saved ({error.strerror})",
            where=str(where),
            remedy="Free some disk space or choose a writable folder.",
        ) from error
