"""Scores of pictures and votes of users as HTML. Untrusted texts pass through `safe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..html.basics import hint, safe
from ..studio.maps import MapEntry
from ..studio.votes import Preference

__all__ = ["preferences", "question", "scores", "verdict"]

_IMG_SCORE = "ImgScore"
_SIMILARITY = (
    "ImgScore: similarity of this picture to the original, as the cosine of the features of a "
    "separate network. 1 is identical."
)
_PROBABILITY = (
    "ConceptScore: probability that this picture shows the concept, according to a separate "
    "classifier that is not steered. 0 to 1."
)


def scores(values: Mapping[str, float]) -> str:
    """Format the scores of one picture, with a line that explains them.

    Args:
        values: `ImgScore` (-1 to 1), and under the title of each map its ConceptScore (0 to 1).
    """
    if not values:
        return ""
    items = "".join(
        f'<span title="{_SIMILARITY if name == _IMG_SCORE else _PROBABILITY}">'
        f"{safe(name)} <b>{value:.2f}</b></span>"
        for name, value in values.items()
    )
    lines = ["ImgScore: similarity to the original"] if _IMG_SCORE in values else []
    if values.keys() - {_IMG_SCORE}:
        lines.append("Concept: its probability according to a classifier (ConceptScore)")
    return f'<p class="scores">{items}<small>{" · ".join(lines)}</small></p>'


def question(prompt: str, entries: Sequence[MapEntry]) -> str:
    """Format the question about two pictures, as in the user study of LinEAS (section 4.4)."""
    aims = " ".join(
        f"<b>{safe(entry.title)}</b> {safe(entry.metadata.get('description', ''))}"
        for entry in entries
    )
    return (
        "<h3>Which picture blends prompt and aim best?</h3>"
        f'<dl class="facts"><dt>Prompt</dt><dd>“{safe(prompt)}”</dd>'
        f"<dt>Aim</dt><dd>{aims}</dd></dl>"
    )


def verdict(steered: str, maps: Sequence[tuple[str, float]]) -> str:
    """Report which picture was steered.

    Args:
        steered: label of the steered picture, A or B.
        maps: pairs (id, λ).
    """
    strengths = ", ".join(f"{strength:+g}" for _, strength in maps)
    original = "B" if steered == "A" else "A"
    return hint(f"{steered} was steered (λ = {strengths}), {original} was the original.")


def preferences(found: Sequence[Preference]) -> str:
    """Format the votes about each map as a table, with the share of the steered picture."""
    if not found:
        return hint("No vote yet.")
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("concept", "votes", "steered preferred", "")
    )
    return (
        f'<table class="sweep preferences"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{''.join(map(_row, found))}</tbody></table>"
    ) + hint("Share of decided votes with its 95 % Wilson interval; undecided votes do not count.")


def _row(preference: Preference) -> str:
    share, interval = "–", ""
    if preference.decided:
        low, high = preference.interval
        share = f"<b>{preference.share:.0%}</b> {low:.0%} to {high:.0%}"
        interval = (
            f'<i class="interval" style="--low: {low:.3f}; --high: {high:.3f}; '
            f'--share: {preference.share:.3f}"></i>'
        )
    undecided = f", {preference.undecided} undecided" if preference.undecided else ""
    return (
        f'<tr><th scope="row">{safe(preference.title)}</th>'
        f'<td data-label="votes">{preference.decided}{undecided}</td>'
        f'<td data-label="steered preferred">{share}</td><td>{interval}</td></tr>'
    )
