"""Processes that are killed in the middle of what they do."""

import os
import random
import signal
import time
from contextlib import suppress


def killed_while(work, turns=1):
    """Let a process call `work(0)`, `work(1)` and so on, and kill it.

    The kill comes at a random moment after the first `turns` calls.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with suppress(BaseException):
            turn = 0
            while True:
                work(turn)
                turn += 1
                os.write(writer, b".")
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    finished = b""
    while len(finished) < turns:
        assert (more := os.read(reader, turns)), "the process ended by itself"
        finished += more
    time.sleep(random.uniform(0, 0.05))  # the moment of the kill, not a wait
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reader)
