"""The figure beside a table: every panel a quantity over λ, every line a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import compress, cycle
from statistics import fmean
from typing import Any, Literal

from matplotlib import color_sequences, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

__all__ = ["Panels", "draw"]

Panels = Mapping[str, Callable[[Mapping[str, Any]], float | None]]
"""Name of a quantity -> (row of figures) -> it, None where there is none."""

_DASHES: tuple[Literal["-", "--", ":", "-."], ...] = ("-", "--", ":", "-.")
_CROWD = 24  # lines that can be told apart, if hardly
_FEW, _MANY = color_sequences["tab10"], color_sequences["tab20"]


def draw(panels: Panels, done: Sequence[Mapping[str, Any]]) -> bytes:
    """An SVG of all cells; of more than 24 the means stand out, one for each kind of dash.

    Args:
        panels: what to draw, from left to right.
        done: cells as `lineas_core.tables.cells_done` gives them.
    """
    looks, legend = _looks([tuple(cell["key"].values()) for cell in done])
    figure = Figure(figsize=(3.6 * len(panels) + 2, 3.2), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for axis, (name, value) in zip(axes, panels.items(), strict=True):
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("λ")
        axis.locator_params(axis="x", nbins=4)
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        lines = [
            {row["strength"]: y for row in cell["rows"] if (y := value(row)) is not None}
            for cell in done
        ]
        crowd: dict[str, Any] = {"alpha": 0.2} if len(done) > _CROWD else {"marker": "."}
        for line, look in zip(lines, looks, strict=True):
            axis.plot(*_points(line), **look, **crowd)
        for dash, line in _means(lines, looks).items() if len(done) > _CROWD else ():
            axis.plot(*_points(line), color="0.15", linestyle=dash, linewidth=2)
        if name == "perplexity":
            _logarithmic(axis)
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
    # Neither date nor random ids: a table made again from the same figures is the same file.
    with rc_context({"svg.hashsalt": "tables", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def _points(line: Mapping[float, float]) -> tuple[list[float], list[float]]:
    return sorted(line), [line[x] for x in sorted(line)]


def _means(
    lines: Sequence[Mapping[float, float]], looks: Sequence[Mapping[str, Any]]
) -> dict[str, dict[float, float]]:
    """Mean line of every dash, over the colours that come in all dashes.

    Over all there are, it would compare other things.
    """
    by_dash: dict[str, dict[Any, Mapping[float, float]]] = {}
    for line, look in zip(lines, looks, strict=True):
        by_dash.setdefault(look["linestyle"], {})[look["color"]] = line
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


def _looks(keys: Sequence[tuple[str, ...]]) -> tuple[list[dict[str, Any]], list[Line2D]]:
    """Colour and dash of every line, and the legend.

    Between its last key and the others, dashes tell the one with fewer values and colours the
    other; the legend tells either. What all lines share is not said.
    """
    lasts = [*dict.fromkeys(key[-1:] for key in keys)]
    others = [*dict.fromkeys(key[:-1] for key in keys)]
    dashed, coloured = sorted((lasts, others), key=len)
    colours = _FEW if len(coloured) <= len(_FEW) else _MANY
    colour = dict(zip(coloured, cycle(colours), strict=False))
    dash = dict(zip(dashed, cycle(_DASHES), strict=False))
    looks = []
    for key in keys:
        one, other = (key[-1:], key[:-1]) if dashed is lasts else (key[:-1], key[-1:])
        looks.append({"color": colour[other], "linestyle": dash[one]})
    legend = [
        *(
            Line2D([], [], marker=".", color=c, label=_told(k, coloured))
            for k, c in colour.items()
        ),
        *(
            Line2D([], [], color="0.4", linestyle=d, label=_told(k, dashed))
            for k, d in dash.items()
        ),
    ]
    return looks, [line for line in legend if line.get_label()]


def _told(key: tuple[str, ...], group: Sequence[tuple[str, ...]]) -> str:
    """What of a key is not the same in all of its group."""
    differ = [len({*values}) > 1 for values in zip(*group, strict=True)]
    return " · ".join(compress(key, differ))


def _logarithmic(axis: Axes) -> None:
    """One map that breaks the text must not press all others flat."""
    axis.set_yscale("log")
    axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.yaxis.set_major_formatter(ScalarFormatter())
    axis.yaxis.set_minor_formatter(NullFormatter())
