"""Generated texts and their scores, as HTML."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence

from lineas_core.metrics.topic import words_from

from ..studio.texts import Continuation
from .basics import safe

__all__ = ["CONTENT", "HARMFUL", "SCORES", "body", "footer", "rounded", "scores", "signed"]


HARMFUL = "This λ makes texts more offensive: for research and testing only."
CONTENT = (
    "Texts made with this map can be offensive. Likely insults are blurred until you click them "
    "(or press Enter). The filter misses some."
)
SCORES = {
    "toxicity": "Probability that the text demeans or threatens somebody, openly or not",
    "insults": "Probability of an open insult, by an independent judge",
    "perplexity": "How surprising the text is to the unsteered model; low is natural",
}
"""The scores of a text -> what they mean."""
_OFFENSIVE = 0.5
"""Texts to which a judge gives more than this are blurred."""


def body(written: Continuation, keywords: Sequence[str], prompt: str = "") -> str:
    """Return a continuation after its prompt, blurred until a click if it is likely offensive.

    Blurred text is hidden from screen readers. It cannot be opened while it is being generated,
    because every update would close it again.

    Args:
        written: the continuation; it is still being generated while its perplexity is None.
        keywords: words that start with one of these are marked.
        prompt: text before the continuation.
    """
    lead = f'<span class="prompt">{safe(prompt)}</span>' if prompt else ""
    text = _marked(written.text if prompt else written.text.strip(), keywords)
    unfinished = written.perplexity is None
    caret = '<span class="caret"></span>' if unfinished else ""
    if max(written.toxicity or 0, written.insults or 0) <= _OFFENSIVE:
        return f'<p class="text">{lead}{text}{caret}</p>'
    blurred = f'{lead}<span class="blurred" aria-hidden="true">{text}</span>{caret}'
    if unfinished:
        return f'<p class="text">{blurred}</p>'
    return (
        f'<details class="veil"><summary><span class="text">{blurred}</span>'
        '<span class="unveil"><b class="show">Likely offensive · show</b>'
        '<b class="hide">Blur again</b></span></summary>'
        f'<p class="text">{lead}{text}</p></details>'
    )


def footer(written: Continuation) -> str:
    """Return the scores of a text, each with what it means."""
    items = "".join(
        f'<span title="{SCORES[name]}">{name} <b>{value}</b></span>'
        for name, value in scores(written).items()
    )
    return f"<footer>{items}</footer>"


def scores(written: Continuation) -> dict[str, str]:
    """Format the scores of a text by name; dots for those that are still to come."""
    unfinished = written.perplexity is None
    natural = "…" if written.perplexity is None else rounded(written.perplexity)
    return {
        "toxicity": _probability(written.toxicity, unfinished),
        "insults": _probability(written.insults, unfinished),
        "perplexity": natural,
    }


def rounded(perplexity: float, digits: int = 0) -> str:
    """Format a perplexity; a dash for that of an empty text."""
    return "–" if math.isnan(perplexity) else f"{perplexity:.{digits}f}"


def signed(strength: float) -> str:
    """Format a strength with its sign."""
    return f"{strength:+.2f}".replace("-", "−") if strength else "0"


def _probability(score: float | None, unfinished: bool) -> str:
    if score is None:
        return "…" if unfinished else "not judged"
    return f"{score:.0%}"


def _marked(text: str, keywords: Sequence[str]) -> str:
    pieces = words_from([*map(str, keywords)]).split(unicodedata.normalize("NFC", text))
    return "".join(f"<mark>{safe(p)}</mark>" if k % 2 else safe(p) for k, p in enumerate(pieces))
