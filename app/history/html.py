"""Earlier results, and code to copy, as HTML. Untrusted texts pass through `safe`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lineas_core.pictures import label_of
from lineas_core.prompts.errors import plural

from ..html.basics import hint, safe
from ..studio.steps import Steps, range_text

__all__ = ["Tile", "copies", "earlier"]

_WORDS = 9  # words of a prompt on a tile


@dataclass(frozen=True)
class Tile:
    """An earlier result.

    Attributes:
        query: query of the link that restores it, with its `?`.
        applied: title and λ of each map.
        prompt: the prompt.
        seed: the seed.
        picture: a JPEG as base64; empty for a text, or if the picture is not cached any more.
        steps: what differs from how the model paints by default.
    """

    query: str
    applied: Sequence[tuple[str, float]]
    prompt: str
    seed: int
    picture: str = ""
    steps: Steps = Steps()


def earlier(tiles: Sequence[Tile]) -> str:
    """Format earlier results as buttons; a click sends `data-query`."""
    if not tiles:
        return hint("No results yet.")
    kind = "" if any(tile.picture for tile in tiles) else " texts"
    items = "".join(f"<li>{_tile(tile)}</li>" for tile in tiles)
    return f'<ul class="tiles{kind}">{items}</ul>'


def copies(snippets: Mapping[str, str]) -> str:
    """Format texts to copy, each under its heading and with a button."""
    return "".join(
        f'<section class="copy"><header><h2>{safe(title)}</h2>'
        f'<button type="button" aria-label="Copy: {safe(title)}">Copy</button></header>'
        f"<pre>{safe(text)}</pre></section>"
        for title, text in snippets.items()
    ).join(('<div class="copies">', "</div>"))


def _tile(tile: Tile) -> str:
    words = tile.prompt.split()
    beginning = " ".join(words[:_WORDS]) + (" …" if len(words) > _WORDS else "")
    applied = ", ".join(f"{title} {label_of(strength)}" for title, strength in tile.applied)
    picture = f'<img src="data:image/jpeg;base64,{tile.picture}" alt="">' if tile.picture else ""
    return (
        f'<button type="button" data-query="{safe(tile.query)}">{picture}'
        f"<b>{safe(applied)}</b><small>{safe(beginning)}</small>"
        f"<small>{', '.join([f'seed {tile.seed}', *_steps(tile.steps)])}</small></button>"
    )


def _steps(steps: Steps) -> Iterator[str]:
    if steps.number:
        yield plural(steps.number, "step")
    if steps.guidance is not None:
        yield f"guidance {steps.guidance:g}"
    if steps.steered:
        yield f"steered at {range_text(steps.steered)}"
