"""The log of the server: every record escaped, whatever a request has put into it."""

from __future__ import annotations

import logging
import re
from traceback import TracebackException
from typing import Any

from lineas_core.errors import without_token

__all__ = ["EscapingFormatter", "escape", "start_log"]

_MOST = 2_000  # characters of a message, and of a line of a trace
# Control characters, line separators of Unicode, marks of writing direction, half characters.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class EscapingFormatter(logging.Formatter):
    """Writes a record on one line, and its trace on indented lines, so that none can be forged.

    Control characters, which could move the cursor of a terminal, are written as in Python, what
    is too long is cut off, and tokens of the hub are left out.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - as in logging
        """Return the line of a record without its trace."""
        return escape(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - as in logging
        """Return the trace of an exception and of its causes."""
        lines = []
        for part in TracebackException(*ei).format():
            # A frame has two lines. Anything else is one line, or the message of an exception.
            is_frame = part.startswith('  File "')
            lines += part.splitlines() if is_frame else [part.removesuffix("\n")]
        return "\n".join(f"    {escape(line)}" for line in lines)


def escape(text: str) -> str:
    """Return a text as one line of printable characters, at most 2,000 of its own.

    A token of the hub is left out.
    """
    text = without_token(text)
    rest = f" … ({len(text):,} characters)" if len(text) > _MOST else ""
    return _CONTROL.sub(lambda found: ascii(found[0])[1:-1], text[:_MOST]) + rest


def start_log() -> None:
    """Write warnings and errors of all libraries to standard error, escaped."""
    handler = logging.StreamHandler()
    handler.setFormatter(EscapingFormatter())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(True)
