"""The figure beside a table: every panel a quantity over λ, every line a cell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from itertools import compress, cycle
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
_FEW, _MANY = color_sequences["tab10"], color_sequences["tab20"]


def draw(panels: Panels, done: Sequence[Mapping[str, Any]]) -> bytes:
    """An SVG of all cells.

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
        for cell, look in zip(done, looks, strict=True):
            points = [(row["strength"], value(row)) for row in cell["rows"]]
            points = sorted((x, y) for x, y in points if y is not None)
            axis.plot(
                [x for x, _ in points],
                [y for _, y in points],
                marker=".",
                **look,
            )
        if name == "perplexity":
            _logarithmic(axis)
    if legend:
        figure.legend(handles=legend, loc="outside right upper", fontsize=7)
    file = BytesIO()
    # Neither date nor random ids: a table made again from the same figures is the same file.
    with rc_context({"svg.hashsalt": "tables", "svg.fonttype": "none"}):
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


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
