"""Conversion of pickled weights to safetensors, before anything else reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lineas_core.errors import UserError, is_disk_full
from lineas_core.models import unpickle

__all__ = ["convert_pickle"]


def convert_pickle(pickle: Path, target: Path) -> Path:
    """Convert a pickled state dict to safetensors in a separate process.

    Args:
        pickle: the downloaded file.
        target: the safetensors file; kept if it exists. Its folder is created if missing.

    Returns:
        The target.

    Raises:
        UserError: the file is damaged, or holds code or anything else than named tensors; or
            the disk is full. No target is left behind.
    """
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # A folder per call: two processes may convert the same file at the same time.
    with TemporaryDirectory(dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        # -P: modules must not be imported from the script's folder.
        command = [sys.executable, "-P", unpickle.__file__, str(pickle), str(unfinished)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if is_disk_full(result.stderr):
            what, remedy = "the weights were not converted: the disk is full", "Free some space."
            raise UserError("E_DISK", what, where=str(target.parent), remedy=remedy)
        if result.returncode:
            raise UserError(
                "E_PICKLE",
                "the weights were rejected: the file is damaged or holds more than tensors",
                where=pickle.name,
                remedy="Delete it and download it again from the author's repository.",
            )
        unfinished.replace(target)
    return target
