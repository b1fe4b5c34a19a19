"""The error type for problems that the caller can correct."""

import re
from functools import partial

__all__ = ["UserError", "first_line", "is_disk_full", "last_line", "without_token"]

_TOKEN = re.compile(r"hf_\w+")  # an access token of the hub


class UserError(ValueError):
    """An error that the caller can correct. Any other exception is a bug.

    The command line prints it as one line and the web page as one message, so it never contains
    a stack trace, a secret or the content of a file. Programs act on `code` and show
    `str(error)`.

    Attributes:
        code: kind of error, stable and upper-case, such as `E_ENCODING`.
        what: the invalid value and what is allowed, without a final full stop.
        where: file, line or object, such as `night.csv, line 3`; empty if there is none.
        remedy: what to do, as a sentence.
    """

    def __init__(self, code: str, what: str, *, remedy: str, where: str = "") -> None:
        """Join the parts into the message `{where}: {what}. {remedy}`."""
        super().__init__(f"{where}: {what}. {remedy}" if where else f"{what}. {remedy}")
        self.code = code
        self.what = what
        self.where = where
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuild the error from its parts when it is passed on by a worker process."""
        rebuild = partial(type(self), remedy=self.remedy, where=self.where)
        return rebuild, (self.code, self.what)


def first_line(error: Exception) -> str:
    """Return the first line of another library's error message."""
    return without_token(str(error)).strip().partition("\n")[0]


def last_line(error: BaseException) -> str:
    """Return the last line of another library's error message, without a final full stop."""
    return without_token(str(error)).strip().rpartition("\n")[2].strip().rstrip(".")


def without_token(text: str) -> str:
    """Return a text without the access tokens of the hub in it, such as in a refused header."""
    return _TOKEN.sub("hf_…", text)


def is_disk_full(message: str) -> bool:
    """Return whether the message of another program says that the disk is full."""
    reasons = ("No space left on device", "Disk quota exceeded", "File too large")
    return any(reason in message for reason in reasons)
