"""Files that survive a crash and a full disk: the old content stays until the new one is whole.

A file or folder is written under a temporary name beside its place, and renamed once it is on the
disk. Only a process that is killed leaves a temporary one; `sweep` removes those, and `put_back`
renames a folder that was to be replaced.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from lineas_core.errors import UserError

__all__ = [
    "has_links",
    "new_folder",
    "put_back",
    "read_regular",
    "remove_folder",
    "replaced_folder",
    "saving",
    "sweep",
    "write_atomically",
    "write_together",
]

_READ_ONLY = "Choose a writable folder, or make this one writable."
_FULL, _FAULTY = "Free some disk space and try again.", "Check the disk, or save elsewhere."
_REMEDIES = {
    **dict.fromkeys([errno.ENOSPC, errno.EDQUOT, errno.EFBIG], _FULL),
    **dict.fromkeys([errno.EIO, errno.ESTALE], _FAULTY),
}
_UNFINISHED = ".unfinished"  # suffix of temporary files and folders
_REPLACED = ".replaced"  # suffix of a folder that makes room for another one of its name
_AT_ONCE = getattr(os, "O_NONBLOCK", 0)  # missing on Windows, which has no such pipes
_AT_WORKING_FOLDER, _SWAP = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


def read_regular(path: Path) -> bytes:
    """Read a file; unlike `Path.read_bytes` this never waits for the other end of a pipe.

    Raises:
        OSError: it cannot be read, or is a pipe, a device or a folder.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | _AT_ONCE)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        return file.read()


def has_links(folder: Path) -> bool:
    """Return whether a folder, or anything in it, is a symbolic link."""
    return os.path.islink(folder) or any(
        os.path.islink(os.path.join(place, name))
        for place, folders, files in os.walk(folder)
        for name in (*folders, *files)
    )


def write_atomically(path: Path, data: bytes) -> None:
    """Write a file so that after a crash either the old or the new content is there in full.

    Args:
        path: the file; its folder must exist.
        data: the new content.

    Raises:
        OSError: the file cannot be written; the old one is kept.
    """
    write_together(path.parent, {path.name: data})


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write several files of a folder; if one cannot be written, all old ones are kept.

    Args:
        folder: an existing folder.
        files: content by name, in the order in which the files appear.

    Raises:
        OSError: a file cannot be written; no file has been changed.
    """
    written: dict[Path, Path] = {}
    try:
        for name, data in files.items():
            handle, unfinished = tempfile.mkstemp(_UNFINISHED, f".{name}.", folder)
            written[Path(unfinished)] = folder / name
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        for temporary, path in written.items():
            temporary.chmod(0o644)
            temporary.replace(path)
    except BaseException:
        for temporary in written:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise
    _sync(folder)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Fill a new folder that appears under its name when the `with` block ends.

    Args:
        path: the folder; it must not exist. The folders above it are created if missing.

    Yields:
        The folder to fill, beside its final place. It is removed if the block raises.

    Raises:
        OSError: the folder cannot be created or renamed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _unfinished(path) as folder:
        yield folder
        folder.chmod(0o755)
        folder.rename(path)
    _sync(path.parent)


@contextmanager
def replaced_folder(path: Path) -> Iterator[Path]:
    """Change a folder as a whole: a copy takes its place when the `with` block ends.

    Where the system cannot swap two folders, there is a moment without the folder; if a process
    is killed in this moment, `put_back` and `sweep` put the old one back.

    Args:
        path: an existing folder. Its files are linked into the copy, not copied, so that they
            must be replaced rather than changed.

    Yields:
        The copy to change. It is removed if the block raises.

    Raises:
        OSError: the folder cannot be replaced, such as the mount point of a file system.
    """
    path = path.resolve()
    if _holds_working_folder(path):  # that would stay the old one
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    with _unfinished(path) as folder:
        shutil.copytree(path, folder, symlinks=True, copy_function=_link, dirs_exist_ok=True)
        yield folder
        _swap(folder, path)
    _sync(path.parent)
    shutil.rmtree(folder, ignore_errors=True)  # the old one


def remove_folder(path: Path) -> None:
    """Remove a folder at once under its name; what a crash leaves of it is left to `sweep`.

    Raises:
        OSError: the folder cannot be removed.
    """
    gone = path.with_name(f".{path.name}{_UNFINISHED}")
    path.rename(gone)
    shutil.rmtree(gone)


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder and in the folders below it.

    The caller makes sure that no process is writing there.
    """
    for place, folders, files in os.walk(folder):
        for name in [n for n in folders if n.endswith(_REPLACED)]:
            folders.remove(name)
            replaced = Path(place, name[1 : -len(_REPLACED)])
            put_back(replaced)
            if replaced.exists():
                shutil.rmtree(Path(place, name), ignore_errors=True)
        for name in [n for n in folders if n.endswith(_UNFINISHED)]:
            folders.remove(name)
            shutil.rmtree(Path(place, name), ignore_errors=True)
        for name in [n for n in files if n.endswith(_UNFINISHED)]:
            with suppress(OSError):
                Path(place, name).unlink()


def put_back(path: str | Path) -> None:
    """Put a folder back that a killed process was about to replace, unless something is there."""
    with suppress(OSError, ValueError):  # such as a text that cannot be a path
        place = Path(os.path.realpath(path))
        if not place.exists():
            _aside(place).rename(place)


@contextmanager
def saving(what: str, where: Path | None = None, done: str = "saved") -> Iterator[None]:
    """Raise an `OSError` of the block as a `UserError`.

    Args:
        what: beginning of the message, such as `the map was`, before "not saved".
        where: the file or folder to name; None names none.
        done: what has not been done.

    Raises:
        UserError: the disk is full, or the place cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            "E_DISK",
            f"{what} not {done} ({error.strerror or error})",
            where=str(where) if where else "",
            remedy=_REMEDIES.get(error.errno or 0, _READ_ONLY),
        ) from error


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """Yield a temporary folder beside a place; it is removed if the block raises."""
    folder = Path(tempfile.mkdtemp(_UNFINISHED, f".{path.name}.", path.parent))
    try:
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _holds_working_folder(path: Path) -> bool:
    with suppress(OSError):  # the working folder has been deleted
        return Path.cwd().is_relative_to(path)
    return False


def _link(source: str, target: str) -> None:
    """Give a file a second name, or copy it where the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


def _swap(new: Path, old: Path) -> None:
    """Let two folders swap their names, at once where the system can do it."""
    try:
        swap = ctypes.CDLL(None).renameat2
        names = [os.fsencode(path) for path in (new, old)]
        if swap(_AT_WORKING_FOLDER, names[0], _AT_WORKING_FOLDER, names[1], _SWAP) == 0:
            return
    except (AttributeError, TypeError):  # not Linux
        pass
    aside = _aside(old)
    shutil.rmtree(aside, ignore_errors=True)  # of a process that was killed after the two renames
    old.rename(aside)
    try:
        new.rename(old)
    except OSError:
        if not old.exists():
            put_back(old)
            raise
        _swap(new, old)  # again: `load_maps` in another process has just put it back
    else:
        aside.rename(new)


def _aside(path: Path) -> Path:
    return path.with_name(f".{path.name}{_REPLACED}")


def _sync(folder: Path) -> None:
    """Write the names of a folder to the disk."""
    with suppress(OSError):  # not every file system can sync a folder, and Windows cannot
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
