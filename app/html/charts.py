"""Charts as small SVGs that take their colours from the page.

They are written directly instead of with matplotlib, because they are redrawn every second or two
while a job runs, follow light and dark mode and any width, and show their values on hover. The
drawings are stretched (100 x 100 units, lines keep their width), so texts are outside of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lineas_core import AffineMap, LowRankMap, SteeringMaps
from lineas_core.pictures import label_of

from .basics import hint, safe

__all__ = ["curve", "modules", "rates", "scores", "transport"]


def curve(records: Sequence[Mapping[str, Any]], iterations: int) -> str:
    """Draw loss and held-out distance over the iterations, relative to their first values.

    Args:
        records: the records of `Jobs.records`.
        iterations: right end of the axis.
    """
    lines = {"loss": _points(records, "loss"), "heldout": _points(records, "heldout")}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return ""
    top = max(1.0, *(share for points in lines.values() for _, share in points))
    names = {"loss": "training loss", "heldout": "held-out distance"}
    legend = "".join(
        f'<span class="{name}">{names[name]} <b>{points[-1][1]:.0%}</b></span>'
        for name, points in lines.items()
    )
    drawn = "".join(_line(name, points, iterations, top) for name, points in lines.items())
    grid = "".join(f'<path class="grid" d="M0 {y}H100"/>' for y in (0, 25, 50, 75, 100))
    return (
        f'<figure class="curve"><figcaption>Distance left to the target {legend}</figcaption>'
        f'<div class="plot"><span class="top">{top:.0%}</span>'
        f"{_svg(grid + drawn, 'Distance left over the iterations')}"
        f'<span class="bottom">0</span></div><div class="axis"><span>0</span>'
        f"<span>{iterations} iterations</span></div></figure>"
    )


def rates(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw the share of texts and the perplexity over λ; bars show the spread over seeds.

    Args:
        rows: the rows of `Texts.rates`.
    """
    shares = [(r["strength"], r["share"], r["spread"]) for r in rows]
    natural = [(r["strength"], r["perplexity"], r["perplexity_spread"]) for r in rows]
    counted = next(iter(rows[0]["by"]))
    drawn = _over_strengths(f"Share of texts: {counted}", shares, ".0%", least=0.1)
    return (
        f'<div class="duo">{drawn}{_over_strengths("Perplexity", natural, ".0f", least=5)}</div>'
    )


def scores(strengths: Sequence[float], lines: Mapping[str, Sequence[float | None]]) -> str:
    """Draw the scores of the pictures of a strip, from 0 to 1, each below its picture.

    Args:
        strengths: λ of each picture.
        lines: one score per picture, by name; None where there is none.
    """
    if not lines:
        return ""
    columns = [100 * (k + 0.5) / len(strengths) for k in range(len(strengths))]
    legend, drawn = "", '<path class="grid" d="M0 0H100M0 50H100M0 100H100"/>'
    for number, (name, values) in enumerate(lines.items()):
        legend += f'<span class="line-{number}">{safe(name)}</span>'
        points = [
            (f"{x:.2f} {100 - 100 * max(value, 0):.2f}", strength, value)
            for x, strength, value in zip(columns, strengths, values, strict=True)
            if value is not None
        ]
        if points:
            drawn += f'<path class="line-{number}" d="M{"L".join(p for p, *_ in points)}"/>'
        drawn += "".join(
            f'<path class="line-{number} dot" d="M{place}h0"><title>{safe(name)} at λ '
            f"{label_of(strength)}: {value:.2f}</title></path>"
            for place, strength, value in points
        )
    return (
        f'<figure class="curve over-strip"><figcaption>{legend}</figcaption><div class="plot">'
        f'<span class="top">1</span>{_svg(drawn, "Scores over the strength")}'
        f'<span class="bottom">0</span></div><div class="axis"><span>λ {strengths[0]:+g}</span>'
        f"<span>λ {strengths[-1]:+g}</span></div></figure>"
    )


_IN_MODULES: dict[str, Callable[[AffineMap | LowRankMap], Any]] = {
    "share of coordinates moved": lambda m: m.moved.double().mean(),
}
_IN_AFFINE_MAPS: dict[str, Callable[[AffineMap], Any]] = {
    "mean |scale − 1|": lambda m: (m.scale - 1).abs().mean(),
    "mean |shift|": lambda m: m.shift.abs().mean(),
}


def modules(maps: SteeringMaps, strength: float = 1.0) -> str:
    """Draw how much the maps change in each module, first layer to last, as three bar charts.

    Low-rank maps have neither scale nor shift, so that one chart is left of them. The largest
    value at λ = 1 and λ = -1 fills the height, so that drawings at all strengths have one scale.

    Args:
        maps: the maps.
        strength: λ, -1 to 1.
    """
    at, ends = maps.at(strength), [maps.at(1.0), maps.at(-1.0)]
    drawn = _charts(_IN_MODULES, at, ends)
    if maps.affine:
        drawn += _charts(_IN_AFFINE_MAPS, at.affine, [end.affine for end in ends])
    return drawn


def _charts(
    measures: Mapping[str, Callable[[Any], Any]],
    maps: Mapping[str, Any],
    ends: Sequence[Mapping[str, Any]],
) -> str:
    drawn = ""
    for title, measure in measures.items():
        largest = max((measure(m).item() for end in ends for m in end.values()), default=0)
        drawn += _bars(title, list(maps), [measure(m).item() for m in maps.values()], largest)
    return drawn


def transport(maps: SteeringMaps, strength: float) -> str:
    """Draw the map of one coordinate: steered activation over original activation.

    Args:
        maps: the maps; the coordinate with the largest shift is drawn. A low-rank map mixes
            coordinates, which the drawing replaces by a sentence.
        strength: λ, -1 to 1.
    """
    if not maps.affine:
        return hint("This map mixes coordinates, so no coordinate has a curve of its own.")
    name, step = max(maps.affine.items(), key=lambda item: item[1].shift.abs().max().item())
    k = int(step.shift.abs().argmax())
    at, reach = step.at(strength), 2 * max(step.shift.abs().max().item(), 1e-6)
    scale, shift = at.scale[k].item(), at.shift[k].item() / reach
    ends = [(x, 50 - 50 * (scale * x + shift)) for x in (-1.0, 1.0)]
    line = "L".join(f"{50 + 50 * x:.2f} {y:.2f}" for x, y in ends)
    drawn = (
        '<path class="grid" d="M0 50H100M50 0V100"/><path class="train" d="M0 100L100 0"/>'
        f'<path class="heldout" d="M{line}"/>'
    )
    learnt = f"ω = {step.scale[k].item():.2f}, b = {step.shift[k].item():.2f}"
    return (
        '<figure class="curve transport"><figcaption><span class="train">original</span>'
        f'<span class="heldout">at λ {label_of(strength)}</span></figcaption>'
        f'<div class="plot"><span class="top">{reach:.2g}</span>'
        f"{_svg(drawn, 'Steered over original activation')}"
        f'<span class="bottom">−{reach:.2g}</span></div>'
        f'<div class="axis"><span>z = −{reach:.2g}</span><span>{reach:.2g}</span></div>'
        f"<p>The coordinate with the largest shift: number {k} of <code>{safe(name)}</code>, "
        f"{learnt}.</p></figure>"
    )


def _points(records: Sequence[Mapping[str, Any]], key: str) -> list[tuple[int, float]]:
    found = [(r["iteration"], r[key]) for r in records if r.get(key) is not None]
    start = found[0][1] if found else 0
    return [(iteration, value / start) for iteration, value in found] if start else []


def _line(name: str, points: list[tuple[int, float]], iterations: int, top: float) -> str:
    places = [f"{100 * x / iterations:.2f} {100 - 100 * y / top:.2f}" for x, y in points]
    # A dot is a line of length zero: its round ends keep their shape in a stretched drawing.
    dots = "".join(f'<path class="{name} dot" d="M{place}h0"/>' for place in places)
    line = f'<path class="{name}" d="M{"L".join(places)}"/>'
    return line + (dots if name == "heldout" or len(points) == 1 else "")


def _over_strengths(
    title: str, rows: Sequence[tuple[float, float, float]], form: str, *, least: float
) -> str:
    """Draw a line over λ, with bars for the spread.

    Args:
        title: title above the drawing.
        rows: triples (strength, value, spread).
        form: format specification of a value.
        least: smallest top of the axis, so that a small change does not look large.
    """
    rows = [row for row in rows if all(map(math.isfinite, row))]
    top = max([least, *(value + spread for _, value, spread in rows)])

    def place(strength: float, value: float) -> str:
        return f"{50 + 50 * strength:.2f} {100 - 100 * max(value, 0) / top:.2f}"

    points = [(place(strength, value), strength, value) for strength, value, _ in rows]
    bars = "".join(
        f'<path class="spread" d="M{place(strength, value - spread)}'
        f'L{place(strength, value + spread)}"/>'
        for strength, value, spread in rows
        if spread
    )
    dots = "".join(
        f'<path class="heldout dot" d="M{at}h0"><title>λ {label_of(strength)}: '
        f"{value:{form}}</title></path>"
        for at, strength, value in points
    )
    line = f'<path class="heldout" d="M{"L".join(at for at, *_ in points)}"/>' if points else ""
    grid = '<path class="grid" d="M50 0V100"/>' + "".join(
        f'<path class="grid" d="M0 {y}H100"/>' for y in (0, 50, 100)
    )
    return (
        f'<figure class="curve"><figcaption>{title}</figcaption>'
        f'<div class="plot"><span class="top">{top:{form}}</span>'
        f'{_svg(grid + bars + line + dots, f"{title}, over λ")}<span class="bottom">0</span></div>'
        '<div class="axis"><span>λ = −1</span><span>original</span><span>+1</span></div></figure>'
    )


def _bars(title: str, names: Sequence[str], values: Sequence[float], largest: float) -> str:
    largest, width = largest or 1, 100 / max(len(values), 1)
    heights = [min(100 * value / largest, 100) for value in values]
    drawn = "".join(
        f'<rect x="{k * width + 0.1 * width:.2f}" y="{100 - heights[k]:.2f}" '
        f'width="{0.8 * width:.2f}" height="{heights[k]:.2f}">'
        f"<title>{safe(name)}: {value:.3g}</title></rect>"
        for k, (name, value) in enumerate(zip(names, values, strict=True))
    )
    return (
        f'<figure class="bars"><figcaption>{title} <b>up to {largest:.2g}</b></figcaption>'
        f'<div class="plot">{_svg(drawn, title)}</div>'
        '<div class="axis"><span>first layer</span><span>last layer</span></div></figure>'
    )


def _svg(content: str, title: str) -> str:
    return (
        '<svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" '
        f'aria-label="{safe(title)}">{content}</svg>'
    )
