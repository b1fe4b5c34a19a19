"""Pictures, their scores and the blind comparison as HTML. Untrusted texts pass through `safe`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from PIL.Image import Image

from lineas_core.evaluation.counterfactual import Concept
from lineas_core.evaluation.effect import Effect, Goal

from ..html.basics import hint, safe
from ..html.thumbnails import small_jpeg
from ..studio.maps import MapEntry
from ..studio.pictures import IMG_SCORE

__all__ = [
    "NO_GOAL",
    "answer",
    "effect",
    "figures",
    "grid",
    "pair",
    "question",
    "short_effect",
    "unknown",
    "verdict",
]

_SIMILARITY = (
    "ImgScore: similarity of this picture to the original, as the cosine between their features "
    "in a separate network. 1 is identical."
)
_PROBABILITY = (
    "ConceptScore: probability that this picture shows the concept, according to a separate "
    "classifier that is not steered. 0 to 1. It can miss an object that is plainly visible."
)
_MEASURED = "Compared with an unsteered picture of the same scene and seed {} the concept."


NO_GOAL = hint("There is no unsteered picture to compare this one with.")
"""Shown instead of the picture that steering should give."""


def figures(sentence: str, scores: Mapping[str, float]) -> str:
    """Format the figures of one picture.

    Args:
        sentence: what steering did, see `effect`.
        scores: `ImgScore` (-1 to 1), and under the title of each map its ConceptScore (0 to 1).
    """
    concepts = [title for title in scores if title != IMG_SCORE]
    items = "".join(
        f'<span title="{_PROBABILITY}">ConceptScore{f" of {safe(title)}" if concepts[1:] else ""} '
        f"<b>{scores[title]:.2f}</b> (by a classifier)</span>"
        for title in concepts
    )
    if IMG_SCORE in scores:
        items += (
            f'<span title="{_SIMILARITY}">{IMG_SCORE} <b>{scores[IMG_SCORE]:.2f}</b> '
            "(similarity to the original)</span>"
        )
    return f'<div class="scores">{sentence}<small>{items}</small></div>'


def effect(entry: MapEntry, prompt: str, goal: Goal | None, found: Effect) -> str:
    """Say what a map did to a picture.

    Args:
        entry: the map.
        prompt: prompt of the picture.
        goal: what the map should give at this strength; None if there is no goal.
        found: what it gave.
    """
    concept, changed = Concept(entry.keywords), f"the picture changed by {_share(found.changed)}"
    if goal is None or found.way is None:
        reason = _no_way(concept, prompt, goal)
        return f"<p>{_capitalised(f'{reason}; {changed}' if reason else changed)}.</p>"
    end = "without" if goal.removes else "with"
    if concept.is_thing and goal.removes:
        what = f"{_percent(1 - found.way)} of the {safe(concept.noun)} is left"
    else:
        what = f"{safe(entry.title)}: {_percent(found.way)} of the way to the picture {end} it"
    rest = (
        f". The rest of the picture changed by {_share(found.rest)}"
        if found.rest is not None
        else ""
    )
    return f'<p title="{_MEASURED.format(end)}">{what}{rest}.</p>'


def short_effect(goal: Goal | None, found: Effect) -> str:
    """Say the same in a few words, as plain text."""
    if goal is None or found.way is None:
        return f"changed by {found.changed:.0%}"
    way = 1 - found.way if goal.removes else found.way
    rest = f", rest changed by {found.rest:.0%}" if found.rest is not None else ""
    return f"{min(max(way, 0), 1):.0%} {'left' if goal.removes else 'of the way'}{rest}"


def answer(entry: MapEntry, goal: Goal, seed: int, picture: Image) -> str:
    """Show the picture that steering should give, and say where it comes from."""
    concept, end = Concept(entry.keywords), "without" if goal.removes else "with"
    what = f"the {safe(concept.noun)}" if concept.is_thing else "the style"
    return (
        f'<figure class="answer"><img src="data:image/jpeg;base64,{small_jpeg(picture, 512)}" '
        f'alt="{safe(goal.prompt)}"><figcaption><b>The same scene {end} {what}.</b> '
        f"Painted without steering from “{safe(goal.prompt)}” and seed {seed}. Ideally, steering "
        "gives this picture; the figures say how close it came.</figcaption></figure>"
    )


def _no_way(concept: Concept, prompt: str, goal: Goal | None) -> str:
    """Say why there is no share of the way, if there is a simple reason."""
    if not concept.keywords:
        return ""
    if goal:
        missing = concept.is_thing and goal.removes
        return f"the original shows no {safe(concept.noun)}" if missing else ""
    return "" if concept.mentioned(prompt) else "the concept is not in the prompt"


def _capitalised(sentence: str) -> str:
    return f"{sentence[:1].upper()}{sentence[1:]}"


def _percent(share: float) -> str:
    """Format a share of the way; beyond both ends there is nothing to tell apart."""
    return f"<b>{min(max(share, 0), 1):.0%}</b>"


def _share(changed: float) -> str:
    """Format how much a picture changed."""
    return "<b>less than 1%</b>" if 0 < changed < 0.005 else f"<b>{changed:.0%}</b>"


def grid(columns: Sequence[str], rows: Sequence[str], pictures: Sequence[str]) -> str:
    """Return a table of pictures.

    Args:
        columns: m labels.
        rows: n labels.
        pictures: the first of n x m JPEGs in base64, row by row.
    """
    heads = "".join(f'<th scope="col">{safe(label)}</th>' for label in columns)
    lines = ""
    for number, label in enumerate(rows):
        found = pictures[number * len(columns) : (number + 1) * len(columns)]
        cells = "".join(
            f'<td><img src="data:image/jpeg;base64,{data}" alt="{safe(f"{label} {column}")}"></td>'
            for data, column in zip(found, columns, strict=False)
        )
        lines += f'<tr><th scope="row">{safe(label)}</th>{cells}</tr>'
    return (
        f'<div class="grid"><table><thead><tr><th></th>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def unknown(words: Mapping[str, str]) -> str:
    """Format unknown words as chips; those with a known word are buttons that replace them.

    Args:
        words: each unknown word with the known one that is spelt most like it, or "".
    """
    if not words:
        return ""
    chips = "".join(
        f'<button type="button" data-word="{safe(word)}" data-known="{safe(known)}" '
        f'title="Replace {safe(word)} with {safe(known)}">'
        f"<s>{safe(word)}</s> {safe(known)}</button>"
        if known
        else f"<s>{safe(word)}</s>"
        for word, known in words.items()
    )
    return f'<div class="unknown">{hint("Unknown to this small model:")}{chips}</div>'


def question(prompt: str, entries: Sequence[MapEntry]) -> str:
    """Format the question about two pictures, as in the user study of LinEAS (section 4.4)."""
    aims = " ".join(
        f"<b>{safe(entry.title)}</b> {safe(entry.metadata.get('description', ''))}"
        for entry in entries
    )
    return (
        "<h2>Which picture shows the prompt with this change?</h2>"
        f'<dl class="facts"><dt>Prompt</dt><dd>“{safe(prompt)}”</dd>'
        f"<dt>Change</dt><dd>{aims}</dd></dl>"
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


def pair(prompt: str, seed: int, pictures: Mapping[str, str]) -> str:
    """Return the pictures of one prompt of a batch beside each other.

    Args:
        prompt: the prompt.
        seed: its seed.
        pictures: label -> JPEG in base64.
    """
    shown = "".join(
        f'<div><img src="data:image/jpeg;base64,{data}" alt="{safe(f"{label}: {prompt}")}">'
        f"<small>{safe(label)}</small></div>"
        for label, data in pictures.items()
    )
    about = f"{safe(prompt)} <small>seed {seed}</small>"
    return f"<figure>{shown}<figcaption>{about}</figcaption></figure>"
