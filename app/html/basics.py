"""Basic elements of HTML. Every text of a user, a model or a file passes through `safe`.

`gr.HTML` inserts a value into the page without escaping it. (A template with `{{value}}` would
be worse, because its content is run as JavaScript.)
"""

from __future__ import annotations

import html
import re

__all__ = ["TITLES", "clock", "hint", "link", "progress", "safe", "sentence_of", "warning"]


TITLES = ("Original", "Steered")
_PLAIN_WORD = re.compile(r"[a-z]+[ ,]")


def safe(value: object) -> str:
    """Escape a text for HTML; the style sheet preserves its line breaks."""
    return html.escape(str(value))


def link(address: str, text: str) -> str:
    """Format a link that opens in a new window, so that text typed on this page is kept."""
    return f'<a href="{safe(address)}" target="_blank" rel="noopener">{safe(text)}</a>'


def sentence_of(text: str) -> str:
    """Let a text begin with a capital, unless it begins with a name, such as that of a file."""
    return text[:1].upper() + text[1:] if _PLAIN_WORD.match(text) else text


def hint(text: str) -> str:
    """Format a hint in a subdued colour."""
    return f'<p class="hint">{safe(text)}</p>'


def warning(text: str) -> str:
    """Format a warning; return an empty text if there is none."""
    return f'<p class="note">{safe(sentence_of(text))}</p>' if text else ""


def clock(seconds: float) -> str:
    """Format a duration in seconds, minutes or hours."""
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def progress(done: int, total: int, what: str, seconds: float) -> str:
    """Format the progress of work as a bar, with the time that it takes.

    Args:
        done: number of things that are done.
        total: number of all.
        what: what they are, in the plural.
        seconds: time since the start.
    """
    some = 0 < done < total
    left = f" · about {clock(seconds / done * (total - done))} left" if some else ""
    return (
        f'<section class="job"><p><b>{done} of {total} {what}</b>'
        f"<span>{clock(seconds)} spent{left}</span></p>"
        f'<progress max="{total}" value="{done}" aria-label="{what.capitalize()}"></progress>'
        "</section>"
    )
