"""Values in, HTML out. Every text of a user, a model or a file passes through `safe`.

`gr.HTML` puts a value into the page as it is. (A template with `{{value}}` would be worse: what
it renders is run as JavaScript.)
"""

from __future__ import annotations

import html

__all__ = ["TITLES", "clock", "hint", "link", "safe", "warning"]


TITLES = ("Original", "Steered")


def safe(value: object) -> str:
    """HTML that shows just this text; the style sheet keeps its line feeds."""
    return html.escape(str(value))


def link(address: str, text: str) -> str:
    """A link; in a window of its own, so that nothing typed here is lost."""
    return f'<a href="{safe(address)}" target="_blank" rel="noopener">{safe(text)}</a>'


def hint(text: str) -> str:
    """A quiet sentence."""
    return f'<p class="hint">{safe(text)}</p>'


def warning(text: str) -> str:
    """A sentence to be read first; nothing where there is none."""
    return f'<p class="note">{safe(text)}</p>' if text else ""


def clock(seconds: float) -> str:
    """A duration in the largest unit that fits."""
    if seconds < 90:
        return f"{round(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
