"""The text of a row while its tokens come: whole characters only, and cut at a stop sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence

__all__ = ["TextStream"]

_INCOMPLETE = "\ufffd"  # what tokenizers return for the first bytes of a character
_PENDING = 3  # tokens that can belong to an incomplete character, of 4 bytes in UTF-8


class TextStream:
    """Turns tokens into pieces of text; joined, they are the decoded tokens up to a stop.

    Attributes:
        stopped: whether a stop sequence has come.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stop: Sequence[str] = ()) -> None:
        """Start without tokens.

        Args:
            decode: returns the text of tokens.
            stop: sequences that end the text, none of them empty; they are not part of it.
        """
        self._decode, self._stop = decode, stop
        self._tokens: list[int] = []
        # Tokens are decoded with the ones before, because some tokenizers write the first token
        # of a text without its space.
        self._start = self._read = 0
        self._held = ""
        self.stopped = False

    def push(self, token: int) -> str:
        """Add a token; return the text that is certain now, which may be empty."""
        self._tokens.append(token)
        end = len(self._tokens)
        new = self._new(end)
        if new.endswith(_INCOMPLETE):
            # What is older than a character is released, or the text would be decoded from here
            # at every token; unless it has just been completed.
            end -= _PENDING
            old = self._new(end) if end > self._read else ""
            if not old or not new.startswith(old):
                return ""
            new = old
        return self._release(new, end)

    def rest(self) -> str:
        """Return the text that was held back, at the end of the tokens."""
        end = len(self._tokens)
        text = "" if self.stopped else self._release(self._new(end), end)
        text, self._held = text + self._held, ""
        return text

    def _new(self, end: int) -> str:
        """Return the text of the tokens up to one, without what was released."""
        known = self._tokens[self._start : self._read]
        before = self._decode(known) if known else ""
        return self._decode(self._tokens[self._start : end])[len(before) :]

    def _release(self, new: str, end: int) -> str:
        """Return what is before a stop sequence, and cannot be the beginning of one."""
        self._start, self._read = self._read, end
        text = self._held + new
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if places:
            self.stopped, self._held = True, ""
            return text[: min(places)]
        size = max((_beginning(text, stop) for stop in self._stop), default=0)
        self._held = text[len(text) - size :]
        return text[: len(text) - size]


def _beginning(text: str, stop: str) -> int:
    """Return how many characters at the end of a text are the beginning of a stop sequence."""
    sizes = range(min(len(stop) - 1, len(text)), 0, -1)
    return next((size for size in sizes if text.endswith(stop[:size])), 0)
