"""The maps of the library as HTML: a card for each, and heading and sheet of the chosen one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineas_core import PromptSet, SteeringMaps
from lineas_core.models.catalog import MODELS
from lineas_core.steering.hooks import PRESETS

from ..html.basics import hint, link, safe
from ..html.maps import about
from ..html.thumbnails import thumbnail
from ..studio.archive import UNREADABLE
from ..studio.maps import MapEntry

__all__ = ["cards", "heading", "published", "sheet"]

_SHOTS = 3  # pictures on a card
_WORDS = 6  # words of a topic on a card
_QUOTES = 2  # prompts on a card


def cards(
    shown: Sequence[tuple[MapEntry, Sequence[Path], PromptSet | None]], chosen: str | None
) -> str:
    """The maps side by side, one of them marked.

    Args:
        shown: each map with its preview pictures and its prompts.
        chosen: id of the marked one.
    """
    items = "".join(f"<li>{_card(*row, pressed=row[0].id == chosen)}</li>" for row in shown)
    return f'<ul class="cards">{items}</ul>'


def heading(entry: MapEntry, pictures: Sequence[Path]) -> str:
    """What a map is about: title, description and previews."""
    shots = "".join(map(_shot, pictures))
    return (
        f'<header class="sheet"><h2>{safe(entry.title)}{_origin(entry)}</h2>'
        f"<p>{safe(entry.metadata.get('description', ''))}</p>"
        f"{f'<div class=painted>{shots}</div>' if shots else ''}</header>"
    )


def sheet(entry: MapEntry, maps: SteeringMaps, prompts: PromptSet | None) -> str:
    """All there is to know about a map: facts, settings and prompts."""
    return (
        f'<article class="sheet">{about(entry, maps)}{_settings(entry.metadata, maps)}'
        f"{_prompts(entry, prompts)}</article>"
    )


def published(address: str) -> str:
    """Where a map can be found on the hub."""
    return (
        f'<p class="hint">Uploaded to {link(address, address)}; '
        "a new repository is private until you open it.</p>"
    )


def _card(
    entry: MapEntry, pictures: Sequence[Path], prompts: PromptSet | None, *, pressed: bool
) -> str:
    model = MODELS[entry.model].title if entry.model in MODELS else Path(entry.model).name
    yours = _origin(entry) if entry.origin == "yours" else ""
    return (
        f'<button type="button" class="card" data-map="{safe(entry.id)}" '
        f'aria-pressed="{str(pressed).lower()}">{_preview(entry, pictures, prompts)}'
        f"<b>{safe(entry.title)}</b><small>{safe(model)}</small>"
        f"<small>{safe(_figures(entry.metadata))}{yours}</small></button>"
    )


def _preview(entry: MapEntry, pictures: Sequence[Path], prompts: PromptSet | None) -> str:
    """Pictures from the least to the fullest strength, else words, else prompts."""
    if pictures:
        last = len(pictures) - 1
        shown = dict.fromkeys(pictures[last * k // (_SHOTS - 1)] for k in range(_SHOTS))
        return f'<span class="shots">{"".join(map(_shot, shown))}</span>'
    if words := entry.keywords[:_WORDS]:
        return f'<span class="topic">{"".join(f"<i>{safe(word)}</i>" for word in words)}</span>'
    if prompts is None or entry.harmful > 0:
        return '<span class="topic"></span>'
    quotes = "".join(f"<q>{safe(text)}</q>" for text in prompts.target[:_QUOTES])
    return f'<span class="quotes">{quotes}</span>'


def _shot(file: Path) -> str:
    try:
        data = thumbnail(file)
    except UNREADABLE:  # whoever put the file there sees the others
        return ""
    return f'<img src="data:image/jpeg;base64,{data}" alt="Preview {safe(file.stem)}">'


def _origin(entry: MapEntry) -> str:
    return f'<em class="{"yours" if entry.origin == "yours" else "made"}">{entry.origin}</em>'


def _figures(made: Mapping[str, Any]) -> str:
    """The line of figures on a card."""
    start, end = made.get("heldout_start"), made.get("heldout")
    if isinstance(start, float) and isinstance(end, float):
        return f"held-out {start:.2f} → {end:.2f}"
    return f"{len(made['modules'])} modules"


def _settings(made: Mapping[str, Any], maps: SteeringMaps) -> str:
    """What the map was learnt with, folded away."""
    config = made["config"] if isinstance(made.get("config"), dict) else {}
    names = list(maps)
    facts = {
        "modules": f"{len(names)} ({_preset(names)}): {names[0]} to {names[-1]}",
        **_training_loss(made),
        "learnt on": made.get("date", "?"),
        **{str(name).replace("_", " "): value for name, value in config.items()},
    }
    items = "".join(f"<dt>{safe(k)}</dt><dd>{_value(value)}</dd>" for k, value in facts.items())
    return f'<details><summary>Settings</summary><dl class="facts">{items}</dl></details>'


def _preset(names: Sequence[str]) -> str:
    """The preset that selects these modules; an all-… also selects those of narrower ones."""
    fitting = [k for k, p in PRESETS.items() if all(re.fullmatch(p, name) for name in names)]
    return min(fitting, key=lambda name: name.startswith("all-"), default="no preset")


def _training_loss(made: Mapping[str, Any]) -> dict[str, str]:
    """The fact, where there is one: a method without iterations has no loss."""
    start, end = made.get("loss_start"), made.get("loss")
    if not isinstance(start, float) or not isinstance(end, float):
        return {}
    return {"training loss": f"{start:.3g} before, {end:.3g} after"}


def _value(value: object) -> str:
    return "all" if value is None else safe(value)


def _prompts(entry: MapEntry, prompts: PromptSet | None) -> str:
    if prompts is None:
        return hint("The prompts were not handed on with this map.")
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
