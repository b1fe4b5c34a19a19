"""How the rows of the tables about pictures are shown, and compared with the goals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from lineas_core.metrics.left_in_place import VISIBLE
from lineas_core.tables.panels import Panels
from lineas_core.tables.verdicts import Main, at_full, mean
from lineas_core.tables.workbench import rank_correlation

__all__ = ["LEGEND", "MAIN", "PANELS", "format_scores", "summarise", "verdict"]

Row = Mapping[str, Any]
Cells = Sequence[Mapping[str, Any]]

_GONE, _SEEN = 0.15, 0.5  # ConceptScores

LEGEND = (
    "Each cell is about 32 scenes that no map was learnt from.\n\n"
    "- *left*, of an object: the share of it that still stands in its place (1 untouched, 0 "
    f"gone); in how many pictures it can still be seen (more than {VISIBLE} left); how much the "
    "rest of the picture changes; how much pictures without the object change\n"
    "- *way*, of a style: the share of the way to the picture without it (0 untouched, 1 all of "
    "it); how far from that picture steering ends (1: as far as without steering); how much "
    "pictures without the style change\n"
    "- below, or alone: ConceptScore (CLIPScore in the paper's edition) with the concept in the "
    "prompt, in parentheses without it, and ImgScore of the former against λ = 0\n\n"
    "*left* and *way* compare with the picture that should come out, of the same scene and seed "
    "without the concept; only emoji-world has it. Changes are in % of the range from black to "
    "white."
)


def _removal(name: str, start: float = 0.0, factor: float = 1.0) -> Callable[[Row], float | None]:
    """Return a function from a row to start + factor · measure, None if the row has none."""

    def value(row: Row) -> float | None:
        measured = row.get("removal", {}).get(name)
        return None if measured is None else start + factor * measured

    return value


_LEFT, _NOT_GONE = _removal("left"), _removal("way", 1.0, -1.0)

PANELS: Panels = {
    "objects: left in place": _LEFT,
    "styles: left of the way": _NOT_GONE,
    "change without the concept, %": _removal("moved", factor=100 / 255),
    "ConceptScore, in the prompt": lambda row: row["with"]["concept"],
    "ConceptScore, not in the prompt": lambda row: row["without"]["concept"],
    "ImgScore": lambda row: row["with"]["image"],
}


def _left_over(row: Row) -> float | None:
    """Return what is left of an object, or of the way of a style."""
    left = _LEFT(row)
    return _NOT_GONE(row) if left is None else left


MAIN = Main("what is left of the concept", _left_over)


def verdict(done: Cells) -> str:
    """Say what the maps of the largest budget leave at full strength."""
    last = [cell for cell in done if cell["key"]["budget"] == done[-1]["key"]["budget"]]
    full = [at_full(cell) for cell in last]
    objects, styles = (mean(map(value, full)) for value in (_LEFT, _NOT_GONE))
    effects = []
    if objects is not None:
        effects.append(f"leave {MAIN.shown(objects)} of an object in its place")
    if styles is not None:
        way = MAIN.shown(1 - styles)
        effects.append(f"take a picture {way} of the way to the one without a style")
    if not effects:
        effects.append(f"leave a mean ConceptScore of {_number(mean(map(_score, full)))}")
    budget = last[0]["key"]["budget"]
    return f"At λ = 1, the maps of the {budget} budget {', and '.join(effects)}."


def format_scores(row: Row) -> str:
    """Format a row as `LEGEND` says; the figures of the removal are on a line of their own."""
    concepts = [row[side]["concept"] for side in ("with", "without")]
    named, unnamed = ("-" if score is None else f"{score:.2f}" for score in concepts)
    scores = f"{named} ({unnamed}) {row['with']['image']:.2f}"
    return f"{_format_removal(row['removal'])}<br>{scores}" if "removal" in row else scores


def _format_removal(removal: Row) -> str:
    moved = _percent(removal["moved"])
    if "way" in removal:
        return f"way {_number(removal['way'])}, {_number(removal['astray'])}, {moved}"
    visible = f"{removal['visible']}/{removal['shown']}"
    return f"left {_number(removal['left'])}, {visible}, {_percent(removal['cast'])}, {moved}"


def summarise(done: Cells) -> str:
    """Compare the cells with the goals, by budget."""
    budgets = dict.fromkeys(cell["key"]["budget"] for cell in done)
    cells = {name: [c for c in done if c["key"]["budget"] == name] for name in budgets}
    summaries = {name: _of_budget(of_it) for name, of_it in cells.items()}
    return "\n\n".join(f"*{name}*: {text}" for name, text in summaries.items() if text)


def _of_budget(done: Cells) -> str:
    things, styles = ([c for c in done if _has(value, c)] for value in (_LEFT, _NOT_GONE))
    sentences = [
        *([_of_things(things)] if things else []),
        *([_of_styles(styles)] if styles else []),
        _of_scores(done),
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _of_things(done: Cells) -> str:
    full = [_at(1.0, cell)["removal"] for cell in done]
    left, below = (mean(_LEFT(_at(x, cell)) for cell in done) for x in (1.0, -1.0))
    visible, shown = (sum(removal[name] for removal in full) for name in ("visible", "shown"))
    rest, plain = (mean(removal[name] for removal in full) for name in ("cast", "moved"))
    return (
        f"At λ = 1, {_number(left)} of an object is left in its place, as a mean over "
        f"{len(done)} objects (goal 0.05), and {visible} of {shown} pictures still show it (goal "
        f"none). The rest of the picture changes by {_percent(rest)}, pictures without the object "
        f"by {_percent(plain)}. The rank correlation of what is left and λ from 0 to 1 is "
        f"{_weakest(_LEFT, done):.2f} or stronger (goal -0.97). At λ = -1 an object in the prompt "
        f"is {_number(below)} of what it was."
    )


def _of_styles(done: Cells) -> str:
    full = [_at(1.0, cell)["removal"] for cell in done]
    ways = [removal["way"] for removal in full]
    astray, plain = (mean(removal[name] for removal in full) for name in ("astray", "moved"))
    return (
        f"At λ = 1, pictures have gone {fmean(ways):.2f} of the way to those without the style, "
        f"as a mean over {len(done)} styles (goal 0.9), {min(ways):.2f} at the least, and end "
        f"{_number(astray)} of that distance away from them. Pictures without the style change by "
        f"{_percent(plain)}. The rank correlation of what is left of the way and λ from 0 to 1 is "
        f"{_weakest(_NOT_GONE, done):.2f} or stronger (goal -0.97)."
    )


def _of_scores(done: Cells) -> str:
    """Compare ConceptScore and ImgScore with the paper's goals."""
    original = [_score(_at(0.0, cell)) for cell in done]
    if None in original or fmean(original) < _SEEN:
        return ""  # not scores of the probe: CLIPScore has another range
    gone = sum(_score(_at(1.0, cell)) <= _GONE for cell in done)
    came = sum(_at(-1.0, cell)["without"]["concept"] >= _SEEN for cell in done)
    kept = fmean(_at(1.0, cell)["with"]["image"] for cell in done)
    return (
        f"By ConceptScore, {gone} of {len(done)} concepts are gone at λ = 1 ({_GONE} or less), "
        f"with a mean ImgScore of {kept:.2f} (goal 0.75; the paper reports 0.66 of DINOv2), and "
        f"{came} of {len(done)} come in at λ = -1 where the prompt does not name them ({_SEEN} or "
        "more; goal: all)."
    )


def _score(row: Row) -> Any:
    return row["with"]["concept"]


def _at(strength: float, cell: Mapping[str, Any]) -> Row:
    return next(row for row in cell["rows"] if row["strength"] == strength)


def _has(value: Callable[[Row], float | None], cell: Mapping[str, Any]) -> bool:
    """Whether every row of a cell has a measure; rows of earlier versions have none."""
    return all(value(row) is not None for row in cell["rows"])


def _weakest(value: Callable[[Row], float | None], done: Cells) -> float:
    """Return the highest rank correlation of a measure and the strengths from 0 to 1."""
    positive = [[row for row in cell["rows"] if row["strength"] >= 0] for cell in done]
    return max(
        rank_correlation([row["strength"] for row in rows], [value(row) or 0.0 for row in rows])
        for rows in positive
    )


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    """Format a mean difference of colours, 0 to 255."""
    return "-" if value is None else f"{value / 255:.1%}"
