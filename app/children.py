"""Child processes that run a module of this package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

__all__ = ["start_module"]

# A clone can only be imported from its root, an installed package from any folder.
_ROOT = None if __name__.startswith("lineas_studio.") else Path(__file__).parents[1]
_DETACHED: dict[str, Any] = {"start_new_session": True}  # Ctrl-C must not reach them
if sys.platform == "win32":
    _FLAGS = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.BELOW_NORMAL_PRIORITY_CLASS
    _DETACHED = {"creationflags": _FLAGS}


def start_module(
    name: str, *arguments: str, python: str = sys.executable, **options: Any
) -> subprocess.Popen:
    """Start a module of this package; its standard input is a pipe, closed when we end.

    Args:
        name: module within this package, such as `jobs.worker`.
        *arguments: its arguments.
        python: interpreter that runs it.
        **options: of `subprocess.Popen`.

    Raises:
        OSError: it cannot be started, such as for want of memory.
    """
    command = [python, "-m", f"{__package__}.{name}", *arguments]
    return subprocess.Popen(
        command, cwd=_ROOT, stdin=subprocess.PIPE, bufsize=0, **_DETACHED, **options
    )
