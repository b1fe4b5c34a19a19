"""The turns of a chat as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from ..html.basics import hint, safe, warning
from ..html.texts import body, footer, signed
from ..studio.turns import COLUMNS, Answer, Turn

__all__ = ["EMPTY", "turn_html", "turns_html"]

EMPTY = (
    '<section class="turn empty">'
    + hint("Write a message: the original and the steered model answer side by side.")
    + "</section>"
)
"""Shown before the first message."""


def turns_html(turns: Sequence[Turn]) -> str:
    """Return the turns one below the other."""
    return "".join(turn_html(number, turn) for number, turn in enumerate(turns, 1))


def turn_html(number: int, turn: Turn, note: str = "") -> str:
    """Return a message and its answers beside each other.

    Args:
        number: number of the turn, from 1.
        turn: the turn; answers without a perplexity are still being written.
        note: warning at the steered answer; empty for none.
    """
    replies = "".join(_reply(turn, column, note) for column in turn.answers)
    return (
        f'<section class="turn" data-turn="{number}" aria-label="Turn {number}">'
        f'<p class="asked">{safe(turn.message)}</p><div class="replies">{replies}</div></section>'
    )


def _reply(turn: Turn, column: str, note: str) -> str:
    answer, steered = turn.answers[column], column == "steered"
    label = f"{safe(turn.title)} · λ = {signed(answer.strength)}" if steered else ""
    told = hint(f"“{turn.instruction}”") if column == "prompted" else ""
    return (
        f'<article class="reply {column}"><header><h2>{COLUMNS[column]}</h2>'
        f'<span class="lam">{label}</span></header>{told}{warning(note if steered else "")}'
        f"{_left_out(answer)}{body(answer, turn.keywords)}{_scores(answer)}</article>"
    )


def _scores(answer: Answer) -> str:
    """Return the scores of a finished answer: those of half an answer would only flicker."""
    return "" if answer.perplexity is None else footer(answer)


def _left_out(answer: Answer) -> str:
    if not answer.left_out:
        return ""
    if answer.left_out == 1:
        return hint("The oldest message no longer fits in the context and was left out.")
    return hint(
        f"The {answer.left_out} oldest messages no longer fit in the context and were left out."
    )
