"""The figure of a table: each panel shows a quantity, over λ, with one line for each cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import compress, cycle
from math import ceil
from statistics import fmean
from typing import Any, Literal

from matplotlib import color_sequences, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from lineas_core.tables.names import shown_key
from lineas_core.tables.panels import STRENGTH, Axis, Panels

__all__ = ["draw"]

_DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
_COLUMNS = 3  # panels side by side
_CROWD = 24  # lines that can still be distinguished
_FEW, _MANY = color_sequences["tab10"], color_sequences["tab20"]


def draw(panels: Panels, done: Sequence[Mapping[str, Any]], across: Axis = STRENGTH) -> bytes:
    """Draw all cells as an SVG; above 24 lines, it emphasises the mean line of each dash pattern.

    Args:
        panels: the quantities to draw, three in a row; one that no cell has is left out.
        done: cells as `lineas_core.tables.cells_done` returns them.
        across: what the panels show these over.
    """
    styles, legend = _styles([tuple(shown_key(cell["key"]).values()) for cell in done])
    every = {name: _lines(value, across[1], done) for name, value in panels.items()}
    drawn = {name: lines for name, lines in every.items() if any(lines)} or every
    columns, rows = min(_COLUMNS, len(drawn)), ceil(len(drawn) / _COLUMNS)
    figure = Figure(figsize=(3.6 * columns + 2, 3.2 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis, (name, lines) in zip(axes, drawn.items(), strict=False):
        axis.set_xlabel(across[0])
        _draw_panel(axis, name, lines, styles)
    for axis in axes:
        axis.remove()
    if legend:
        title = "bold: mean of those\nthat have all dashes" if len(done) > _CROWD else None
        figure.legend(
            handles=legend,
            loc="outside right upper",
            fontsize=7,
            title=title,
            title_fontsize=7,
        )
    file = BytesIO()
    # Without date and random ids, the same results give the same file.
    with rc_context({"svg.hashsalt": "tables", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _lines(
    value: Callable[[Mapping[str, Any]], float | None],
    place: Callable[[Mapping[str, Any]], float],
    done: Sequence[Mapping[str, Any]],
) -> list[dict[float, float]]:
    """Return place on the axis -> value of every cell, without the rows that have none."""
    return [
        {place(row): y for row in cell["rows"] if (y := value(row)) is not None} for cell in done
    ]


def _draw_panel(
    axis: Axes,
    name: str,
    lines: Sequence[Mapping[float, float]],
    styles: Sequence[Mapping[str, Any]],
) -> None:
    axis.set_title(name, fontsize=10)
    axis.locator_params(axis="x", nbins=4)
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    crowded = len(lines) > _CROWD
    options: dict[str, Any] = {"alpha": 0.2} if crowded else {"marker": "."}
    for line, style in zip(lines, styles, strict=True):
        axis.plot(*_points(line), **style, **options)
    for dash, line in _means(lines, styles).items() if crowded else ():
        axis.plot(*_points(line), color="0.15", linestyle=dash, linewidth=2)
    if name == "perplexity":
        _use_log_scale(axis)


def _points(line: Mapping[float, float]) -> tuple[list[float], list[float]]:
    return sorted(line), [line[x] for x in sorted(line)]


def _means(
    lines: Sequence[Mapping[float, float]], styles: Sequence[Mapping[str, Any]]
) -> dict[str, dict[float, float]]:
    """Return the mean line of each dash pattern, over the colours that all patterns have.

    A mean over all colours would compare different sets of lines.
    """
    by_dash: dict[str, dict[Any, Mapping[float, float]]] = {}
    for line, style in zip(lines, styles, strict=True):
        by_dash.setdefault(style["linestyle"], {})[style["color"]] = line
    shared = set.intersection(*(set(group) for group in by_dash.values()))
    return {
        dash: {
            x: fmean(line[x] for line in of_them)
            for x in of_them[0]
            if all(x in line for line in of_them)
        }
        for dash, group in by_dash.items()
        if (of_them := [group[colour] for colour in shared])
    }


def _styles(keys: Sequence[tuple[str, ...]]) -> tuple[list[dict[str, Any]], list[Line2D]]:
    """Return colour and dash pattern of every line, and the legend.

    A key is split into its last part and the parts before it. Dashes encode the one with fewer
    values, colours the other one. The legend omits parts that all lines share.
    """
    lasts = [*dict.fromkeys(key[-1:] for key in keys)]
    others = [*dict.fromkeys(key[:-1] for key in keys)]
    dashed, coloured = sorted((lasts, others), key=len)
    colours = _FEW if len(coloured) <= len(_FEW) else _MANY
    colour = dict(zip(coloured, cycle(colours), strict=False))
    dash = dict(zip(dashed, cycle(_DASHES), strict=False))
    styles = []
    for key in keys:
        one, other = (key[-1:], key[:-1]) if dashed is lasts else (key[:-1], key[-1:])
        styles.append({"color": colour[other], "linestyle": dash[one]})
    legend = [
        *(
            Line2D([], [], marker=".", color=c, label=_label(k, coloured))
            for k, c in colour.items()
        ),
        *(
            Line2D([], [], color="0.4", linestyle=d, label=_label(k, dashed))
            for k, d in dash.items()
        ),
    ]
    return styles, [line for line in legend if line.get_label()]


def _label(key: tuple[str, ...], group: Sequence[tuple[str, ...]]) -> str:
    """Join the parts of a key that differ within its group."""
    differ = [len({*values}) > 1 for values in zip(*group, strict=True)]
    return " · ".join(compress(key, differ))


def _use_log_scale(axis: Axes) -> None:
    """Use a logarithmic scale: a map of huge perplexity would flatten all other lines."""
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_formatter(NullFormatter())
