"""The text boxes for prompts, one prompt per line. No gradio."""

from __future__ import annotations

from collections.abc import Sequence

from lineas_core import PromptSet, UserError
from lineas_core.prompts.files import read_lines
from lineas_core.prompts.files import tidy as drop_blanks
from lineas_core.prompts.formats import lines_of
from lineas_core.prompts.syntax import describe_syntax

__all__ = ["count_prompts", "lines", "prompts_in", "set_in"]


def count_prompts(text: str | None, layout: str = "") -> tuple[int, tuple[str, ...]]:
    """Return the number of prompts in a box, and a sentence for each problem.

    Args:
        text: the box.
        layout: that of the set that filled it, see `PromptSet.layout`.
    """
    try:
        prompts, dropped = prompts_in(text, layout)
    except UserError as error:
        return 0, (str(error),)
    return len(prompts), (*dropped, *describe_syntax(prompts))


def prompts_in(text: str | None, layout: str = "") -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the prompts in a box, and a sentence for each kind that was dropped.

    Args:
        text: the box.
        layout: that of the set that filled it; pairs may repeat a prompt.

    Raises:
        UserError: a line is not a valid prompt.
    """
    rows = read_lines(text or "", "prompts")
    if layout:
        return tuple(row.text for row in rows if row.text), ()
    return drop_blanks(rows, "prompts")


def set_in(source: str | None, target: str | None, layout: str = "") -> PromptSet:
    """Return the prompt set in both boxes.

    Args:
        source: the box of the source.
        target: the box of the target.
        layout: that of the set that filled them; boxes with different numbers of lines are no
            pairs any more.

    Raises:
        UserError: a line is not a valid prompt, or a side has too few.
    """
    sides = [(text or "").rstrip() for text in (source, target)] if layout else []
    if layout and len({len(lines_of(side)) for side in sides}) == 1:
        return PromptSet.from_texts(*sides, layout=layout)
    return PromptSet.from_texts(source or "", target or "")


def lines(prompts: Sequence[str]) -> str:
    """Join prompts to the content of a box, one per line."""
    return "\n".join(" ".join(prompt.splitlines()) for prompt in prompts)
