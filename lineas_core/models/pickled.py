"""Weights that come as a pickle, rewritten before anything reads them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from lineas_core.errors import UserError
from lineas_core.models import unpickle

__all__ = ["convert_pickle"]


def convert_pickle(pickle: Path, target: Path) -> Path:
    """Rewrite a pickled state dict as safetensors, once, in a process of its own.

    Args:
        pickle: the file as it was downloaded.
        target: the safetensors file; its folder is made if missing.

    Returns:
        The target.

    Raises:
        UserError: the file holds code or anything but named tensors. No target is left then.
    """
    if target.is_file():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    # One for each caller: two may find at the same time that there is no target yet.
    with TemporaryDirectory(dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        # -P: the script's own folder is no place to import from.
        command = [sys.executable, "-P", unpickle.__file__, str(pickle), str(unfinished)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise UserError(
                "E_PICKLE",
                "the weights are not taken: the file is damaged or holds more than tensors",
                where=pickle.name,
                remedy="Delete it and download it again from its author's repository.",
            )
        unfinished.replace(target)
    return target
