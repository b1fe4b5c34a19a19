"""Maps as HTML: cards, and the heading and the data sheet of one map."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineas_core import PromptSet, SteeringMaps
from lineas_core.models import title_of
from lineas_core.steering.presets import PRESETS

from ..html.basics import hint, link, safe, warning
from ..html.maps import about, way_to_target
from ..html.settings import listed
from ..html.thumbnails import thumbnail
from ..studio.archive import UNREADABLE
from ..studio.maps import MapEntry

__all__ = ["cards", "damaged", "heading", "published", "sheet"]

_SHOTS = 3  # pictures on a card
_WORDS = 6  # words of a topic on a card
_QUOTES = 2  # prompts on a card
_NAMED = 5  # damaged maps that a warning names


def cards(
    rows: Sequence[tuple[MapEntry, Sequence[Path], PromptSet | None]], chosen: str | None
) -> str:
    """Return one card per map, with the chosen map marked.

    Args:
        rows: each map with its preview pictures and its prompts.
        chosen: id of the chosen map.
    """
    items = "".join(f"<li>{_card(*row, pressed=row[0].id == chosen)}</li>" for row in rows)
    return f'<ul class="cards">{items}</ul>'


def heading(entry: MapEntry, pictures: Sequence[Path]) -> str:
    """Return the title, description and preview pictures of a map."""
    shots = "".join(map(_shot, pictures))
    return (
        f'<header class="sheet"><h2>{safe(entry.title)}{_origin(entry)}</h2>'
        f"<p>{safe(entry.metadata.get('description', ''))}</p>"
        f"{f'<div class=painted>{shots}</div>' if shots else ''}</header>"
    )


def sheet(entry: MapEntry, maps: SteeringMaps, prompts: PromptSet | None) -> str:
    """Return the data sheet of a map: facts, settings and prompts."""
    return (
        f'<article class="sheet">{about(entry, maps)}{_settings(entry.metadata, maps)}'
        f"{_prompts(entry, prompts)}</article>"
    )


def published(address: str) -> str:
    """Return a sentence with a link to a published map."""
    return (
        f'<p class="hint">Uploaded to {link(address, address)}; '
        "a new repository is private until you make it public.</p>"
    )


def damaged(names: Sequence[str]) -> str:
    """Return a warning that names the damaged maps; empty if there are none."""
    if not names:
        return ""
    named = ", ".join(f"“{name}”" for name in names[:_NAMED])
    more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
    which, verb, place = ("map", "is", "its folder")
    if len(names) > 1:
        which, verb, place = ("maps", "are", "their folders")
    return warning(
        f"The {which} {named}{more} {verb} damaged and not listed. Import what you need again, or "
        f"delete {place} from the data folder."
    )


def _card(
    entry: MapEntry, pictures: Sequence[Path], prompts: PromptSet | None, *, pressed: bool
) -> str:
    model = title_of(entry.model)
    yours = _origin(entry) if entry.origin == "yours" else ""
    return (
        f'<button type="button" class="card" data-map="{safe(entry.id)}" '
        f'aria-pressed="{str(pressed).lower()}">{_preview(entry, pictures, prompts)}'
        f"<b>{safe(entry.title)}</b><small>{safe(model)}</small>"
        f"<small>{safe(_effect(entry.metadata))}{yours}</small></button>"
    )


def _preview(entry: MapEntry, pictures: Sequence[Path], prompts: PromptSet | None) -> str:
    """Return previews from the lowest to the highest strength, else keywords or prompts."""
    if pictures:
        last = len(pictures) - 1
        shown = dict.fromkeys(pictures[last * k // (_SHOTS - 1)] for k in range(_SHOTS))
        return f'<span class="shots">{"".join(map(_shot, shown))}</span>'
    if words := _whole_words(entry.keywords, prompts)[:_WORDS]:
        return f'<span class="topic">{"".join(f"<i>{safe(word)}</i>" for word in words)}</span>'
    if prompts is None or entry.harmful > 0:
        return '<span class="topic"></span>'
    quotes = "".join(f"<q>{safe(text)}</q>" for text in prompts.target[:_QUOTES])
    return f'<span class="quotes">{quotes}</span>'


def _whole_words(keywords: Sequence[str], prompts: PromptSet | None) -> list[str]:
    """Return keywords; one that only begins a word of the prompts becomes that word."""
    texts = " ".join((*prompts.target, *prompts.source)).casefold() if prompts else ""

    def whole(keyword: str) -> str:
        start = rf"\b{re.escape(keyword.casefold())}"
        found = None if re.search(rf"{start}\b", texts) else re.search(rf"{start}\w+", texts)
        return found[0] if found else keyword

    return [*dict.fromkeys(map(whole, keywords))]


def _shot(file: Path) -> str:
    try:
        data = thumbnail(file)
    except UNREADABLE:  # a damaged picture is skipped
        return ""
    return f'<img src="data:image/jpeg;base64,{data}" alt="Preview {safe(file.stem)}">'


def _origin(entry: MapEntry) -> str:
    return f'<em class="{"yours" if entry.origin == "yours" else "made"}">{entry.origin}</em>'


def _effect(metadata: Mapping[str, Any]) -> str:
    """Return how far a map carries unseen prompts to the target, else its number of modules."""
    start, end = metadata.get("heldout_start"), metadata.get("heldout")
    if isinstance(start, float) and isinstance(end, float) and start > 0:
        return way_to_target(start, end)
    return f"{len(metadata['modules'])} modules"


def _settings(metadata: Mapping[str, Any], maps: SteeringMaps) -> str:
    """Return the settings that the map was learnt with, collapsed."""
    config = metadata["config"] if isinstance(metadata.get("config"), dict) else {}
    names = list(maps)
    facts = {
        "Modules": f"{len(names)} ({_preset(names)}): {names[0]} to {names[-1]}",
        **_training_loss(metadata),
        "Date": metadata.get("date", "?"),
        **listed(config),
    }
    items = "".join(f"<dt>{safe(k)}</dt><dd>{safe(value)}</dd>" for k, value in facts.items())
    return f'<details><summary>Settings</summary><dl class="facts">{items}</dl></details>'


def _preset(names: Sequence[str]) -> str:
    """Return the preset that selects these modules, preferably a narrower one than all-…."""
    fitting = [k for k, p in PRESETS.items() if all(re.fullmatch(p, name) for name in names)]
    return min(fitting, key=lambda name: name.startswith("all-"), default="no preset")


def _training_loss(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Return the training loss; empty for a method without iterations, which has none."""
    start, end = metadata.get("loss_start"), metadata.get("loss")
    if not isinstance(start, float) or not isinstance(end, float):
        return {}
    return {"Training loss": f"{start:.3g} before, {end:.3g} after"}


def _prompts(entry: MapEntry, prompts: PromptSet | None) -> str:
    if prompts is None:
        return hint("This map was shared without its prompts.")
    return "".join(
        _folded(side, texts, offensive=entry.harmful == sign)
        for side, texts, sign in (
            ("source", prompts.source, -1),
            ("target", prompts.target, 1),
        )
    )


def _folded(side: str, texts: Sequence[str], *, offensive: bool) -> str:
    warning = ", offensive" if offensive else ""
    items = "".join(f"<li>{safe(text)}</li>" for text in texts)
    head = f"<summary>{len(texts)} {side} prompts{warning}</summary>"
    return f"<details>{head}<ul>{items}</ul></details>"
