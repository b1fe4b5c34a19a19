"""The text boxes for prompts, one prompt per line. No gradio."""

from __future__ import annotations

from collections.abc import Sequence

from lineas_core import UserError
from lineas_core.prompts.files import read_lines
from lineas_core.prompts.files import tidy as drop_blanks
from lineas_core.prompts.syntax import describe_syntax

__all__ = ["count_prompts", "lines", "prompts_in"]


def count_prompts(text: str | None) -> tuple[int, tuple[str, ...]]:
    """Return the number of prompts in a box, and a sentence for each problem."""
    try:
        prompts, dropped = prompts_in(text)
    except UserError as error:
        return 0, (str(error),)
    return len(prompts), (*dropped, *describe_syntax(prompts))


def prompts_in(text: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the prompts in a box, and a sentence for each kind that was dropped.

    Raises:
        UserError: a line is not a valid prompt.
    """
    return drop_blanks(read_lines(text or "", "prompts"), "prompts")


def lines(prompts: Sequence[str]) -> str:
    """Join prompts to the content of a box, one per line."""
    return "\n".join(" ".join(prompt.splitlines()) for prompt in prompts)
