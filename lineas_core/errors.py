"""The one error a caller can act on."""

from functools import partial

__all__ = ["UserError", "first_line"]


class UserError(ValueError):
    """Something the caller can put right: a file, a value, a request.

    The command line prints it as one line and the web page as one notice, so it never holds a
    stack trace, a secret or the content of a file. Every other exception is a fault of ours.
    Act on `code`, show `str(error)`.

    Attributes:
        code: What kind of problem, stable and upper-case, such as `E_ENCODING`.
        what: What came and what is allowed, without the final full stop.
        where: The place, such as `night.csv, line 3`; empty where there is none to name.
        remedy: What to do, as a sentence.
    """

    def __init__(self, code: str, what: str, *, remedy: str, where: str = "") -> None:
        """Joins the parts into `{where}: {what}. {remedy}`."""
        super().__init__(f"{where}: {what}. {remedy}" if where else f"{what}. {remedy}")
        self.code = code
        self.what = what
        self.where = where
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """Rebuilds the error from its parts, so that it crosses from a worker process."""
        rebuild = partial(type(self), remedy=self.remedy, where=self.where)
        return rebuild, (self.code, self.what)


def first_line(error: Exception) -> str:
    """What another library's error says, without the rest of its report."""
    return str(error).strip().partition("\n")[0]
