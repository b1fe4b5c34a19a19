"""Figures of pictures and of people's choices, as HTML. Texts of others pass through `safe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..html.basics import hint, safe
from ..studio.maps import MapEntry
from ..studio.votes import Preference

__all__ = ["question", "scores", "preferences", "verdict"]

_LIKENESS = "ImgScore"
_TELLS = {_LIKENESS: "How alike the original and this picture are; 1 is the same"}
_SEEN = "How surely a small network, which never steers, sees this concept"


def scores(values: Mapping[str, float]) -> str:
    """Figures of one picture: likeness to the original, and how surely each concept is seen."""
    return "".join(
        f'<span title="{_TELLS.get(name, _SEEN)}">{safe(name)} <b>{value:.2f}</b></span>'
        for name, value in values.items()
    ).join(('<p class="scores">', "</p>"))


def question(prompt: str, entries: Sequence[MapEntry]) -> str:
    """What is asked about two pictures, in the manner of the paper's user study (section 4.4)."""
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
    """Which of the two pictures was which."""
    lams = ", ".join(f"{lam:+g}" for _, lam in maps)
    original = "B" if steered == "A" else "A"
    return hint(f"{steered} was steered (λ = {lams}), {original} was the original.")


def preferences(found: Sequence[Preference]) -> str:
    """The choices about each map, with the share of the steered picture and its interval."""
    if not found:
        return hint("No choice has been made yet.")
    rows = "".join(map(_tally, found))
    heads = "".join(
        f'<th scope="col">{head}</th>' for head in ("concept", "choices", "steered preferred", "")
    )
    return (
        f'<table class="sweep preferences"><thead><tr>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table>"
        + hint("Share with 95 % interval (Wilson); those who cannot tell are left out of it.")
    )


def _tally(tally: Preference) -> str:
    low, high = tally.interval
    share, bounds = "–", ""
    if tally.decided:
        share, bounds = f"{tally.share:.0%}", f"{low:.0%} to {high:.0%}"
    drawn = (
        f'<i class="interval" style="--low: {low:.3f}; --high: {high:.3f}; '
        f'--share: {tally.share:.3f}"></i>'
        if tally.decided
        else ""
    )
    undecided = f", {tally.undecided} can’t tell" if tally.undecided else ""
    return (
        f'<tr><th scope="row">{safe(tally.title)}</th>'
        f'<td data-label="choices">{tally.decided}{undecided}</td>'
        f'<td data-label="steered preferred"><b>{share}</b> {bounds}</td><td>{drawn}</td></tr>'
    )
