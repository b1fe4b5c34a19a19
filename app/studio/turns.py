"""The turns of a chat, and their form as JSON and as Markdown.

A turn is a message with one answer for each column: of the original model, of the steered one,
and, on demand, of one that is prompted. Every column is a conversation of its own, in which a
model reads the answers of its own column. The page keeps the turns as JSON and sends them along,
so the server stores no chat, and what comes back is checked like any other request.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from lineas_core import UserError
from lineas_core.models import Sampling
from lineas_core.models.chat import Conversation
from lineas_core.prompts.files import are_keywords

from .texts import Continuation

__all__ = [
    "COLUMNS",
    "Answer",
    "Turn",
    "as_json",
    "as_markdown",
    "conversation",
    "exported",
    "read_turns",
]

COLUMNS = {"original": "Original", "steered": "Steered", "prompted": "Prompted"}
"""Name of a column -> its heading."""
_LONGEST = 1 << 20  # characters of a chat that goes on
_SCORES = ("toxicity", "insults")


@dataclass(frozen=True)
class Answer(Continuation):
    """An answer in one column.

    Attributes:
        left_out: number of the oldest messages that the model could not read any more.
    """

    left_out: int = 0


@dataclass(frozen=True)
class Turn:
    """A message and its answers.

    Attributes:
        message: what the user wrote.
        answers: one for each column that takes part, in the order of `COLUMNS`.
        map: id of the map that steers.
        title: its title.
        model: the model that answers.
        keywords: words of the topic of the map, which are marked.
        system: system prompt; empty for that of the chat template.
        instruction: what stands before the message in the prompted column.
        seed: seed of the sampling, the same for all columns.
        sampling: length and temperature.
    """

    message: str
    answers: Mapping[str, Answer]
    map: str
    title: str
    model: str
    keywords: Sequence[str] = ()
    system: str = ""
    instruction: str = ""
    seed: int = 0
    sampling: Sampling = field(default_factory=Sampling)


def conversation(
    turns: Sequence[Turn], turn: Turn, column: str, *, instructed: bool = True
) -> Conversation:
    """Return what the model of a column reads: its earlier turns, then the new message.

    Where a column did not take part, it takes over the answer of the original model.

    Args:
        turns: the earlier turns.
        turn: the turn to answer.
        column: a key of `COLUMNS`.
        instructed: whether the instruction stands before the messages of the prompted column.
    """
    messages = [{"role": "system", "content": turn.system}] if turn.system else []
    for each in (*turns, turn):
        instruction = each.instruction if instructed and column == "prompted" else ""
        content = f"{instruction} {each.message}".strip()
        messages.append({"role": "user", "content": content})
        if each is not turn:
            answer = each.answers.get(column) or each.answers["original"]
            messages.append({"role": "assistant", "content": answer.text})
    return messages


def as_json(turns: Sequence[Turn]) -> str:
    """Return finished turns as JSON, for `read_turns`."""
    return json.dumps(_rows(turns), ensure_ascii=False)


def exported(turns: Sequence[Turn]) -> str:
    """Return finished turns as JSON for people and programs.

    It has the turns with all that determines them, and for each column the messages.
    """
    columns = [c for c in COLUMNS if any(c in turn.answers for turn in turns)]
    chat = {"turns": _rows(turns), "conversations": {c: _whole(turns, c) for c in columns}}
    return json.dumps(chat, ensure_ascii=False, indent=2)


def read_turns(text: object, *, goes_on: bool = False) -> list[Turn]:
    """Read the turns that a page has sent; empty for an empty text.

    Args:
        text: any value from a request.
        goes_on: refuse a chat that is too long for a further turn.

    Raises:
        UserError: they are not what `as_json` wrote, or too many to go on.
    """
    if goes_on and isinstance(text, str) and len(text) > _LONGEST:
        what = f"the chat has more than {_LONGEST:,} characters"
        raise UserError("E_CHAT", what, remedy="Export it, then start a new one.")
    try:
        return [_turn(row) for row in json.loads(text or "[]")]  # type: ignore[arg-type]
    except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        what = "the chat that came with the message cannot be read"
        raise UserError("E_CHAT", what, remedy="Start a new chat.") from error


def as_markdown(turns: Sequence[Turn]) -> str:
    """Return turns as Markdown; all texts are quoted."""
    lines: list[str] = []
    for number, turn in enumerate(turns, 1):
        facts = [turn.model, f"seed {turn.seed}", f"temperature {turn.sampling.temperature:g}"]
        lines += [f"## {number}. You", _quoted(turn.message), " · ".join(facts)]
        if turn.system:
            lines += ["System prompt:", _quoted(turn.system)]
        for column, answer in turn.answers.items():
            lines += [
                f"### {_heading(turn, column, answer)}",
                _quoted(answer.text),
                _scores(answer),
            ]
    return "\n\n".join(["# Chat", *lines, ""])


def _rows(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    rows = [asdict(turn) for turn in turns]
    for answer in (each for row in rows for each in row["answers"].values()):
        if math.isnan(answer["perplexity"]):  # of an empty answer; JSON has no NaN
            answer["perplexity"] = None
    return rows


def _whole(turns: Sequence[Turn], column: str) -> Conversation:
    answer = turns[-1].answers.get(column) or turns[-1].answers["original"]
    last = {"role": "assistant", "content": answer.text}
    return [*conversation(turns[:-1], turns[-1], column), last]


def _turn(row: Any) -> Turn:
    texts = {name: row[name] for name in ("message", "map", "title", "model")}
    texts |= {name: row[name] for name in ("system", "instruction")}
    answers = {
        column: _answer(row["answers"][column]) for column in COLUMNS if column in row["answers"]
    }
    keywords = tuple(row["keywords"])
    if not (all(isinstance(each, str) for each in texts.values()) and are_keywords(keywords)):
        raise TypeError
    if not answers.keys() >= {"original"} or not texts["message"].strip():
        raise ValueError
    seed, sampling = int(row["seed"]), Sampling(**row["sampling"])
    return Turn(answers=answers, keywords=keywords, seed=seed, sampling=sampling, **texts)


def _answer(row: Any) -> Answer:
    if not isinstance(row["text"], str):
        raise TypeError
    judged = {name: None if row[name] is None else float(row[name]) for name in _SCORES}
    perplexity = math.nan if row["perplexity"] is None else float(row["perplexity"])
    return Answer(
        float(row["strength"]),
        row["text"],
        **judged,
        perplexity=perplexity,
        left_out=int(row["left_out"]),
    )


def _heading(turn: Turn, column: str, answer: Answer) -> str:
    if column == "steered":
        return f"Steered by {turn.title}, λ = {answer.strength:g}"
    return f"Prompted: {turn.instruction}" if column == "prompted" else COLUMNS[column]


def _scores(answer: Answer) -> str:
    judged = {name: getattr(answer, name) for name in _SCORES}
    shares = [f"{n} {'not judged' if v is None else f'{v:.0%}'}" for n, v in judged.items()]
    natural = [] if math.isnan(answer.perplexity or math.nan) else [f"{answer.perplexity:.0f}"]
    return ", ".join([*shares, *(f"perplexity {each}" for each in natural)])


def _quoted(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.strip().splitlines() or [""])
