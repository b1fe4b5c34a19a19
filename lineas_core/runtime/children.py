"""Child processes that can be ended while they run."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence

__all__ = ["run_child"]

_POLL = 0.25  # seconds


def run_child(
    command: Sequence[str], tick: Callable[[], None]
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    Args:
        command: the program and its arguments.
        tick: called every quarter of a second; an exception that it raises, like Ctrl-C, kills
            the program before it is passed on.

    Returns:
        The exit status and what it wrote to stderr.
    """
    out, errors = subprocess.DEVNULL, subprocess.PIPE
    with subprocess.Popen(command, text=True, stdout=out, stderr=errors) as child:
        try:
            while True:
                try:
                    _, told = child.communicate(timeout=_POLL)
                    break
                except subprocess.TimeoutExpired:
                    tick()
        except BaseException:
            child.kill()
            raise
    return subprocess.CompletedProcess(command, child.returncode, "", told)
