"""Reports of work that takes minutes."""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["on_change"]


def on_change(report: Callable[[str], object]) -> Callable[[str], None]:
    """Return a function that reports a sentence, unless it is the one before.

    Args:
        report: called with each new sentence.
    """
    last = ""

    def tell(sentence: str) -> None:
        nonlocal last
        if sentence != last:
            report(sentence)
        last = sentence

    return tell
