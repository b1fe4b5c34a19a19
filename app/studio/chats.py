"""Answer the last message of a chat in all its columns, and score the answers."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace

from lineas_core import check_fits
from lineas_core.metrics.insults import insults
from lineas_core.metrics.perplexity import perplexity
from lineas_core.metrics.toxicity import toxicity

from .maps import MapEntry
from .models import Models
from .plausible import load_usable
from .together import Asked
from .turns import Answer, Turn, conversation

__all__ = ["CONTEXT", "Chats"]

CONTEXT = 2048
"""Tokens of a conversation and its answer, because all of them are read anew in every turn."""


class Chats:
    """The answers that the language models of the page give."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def answer(
        self,
        entry: MapEntry,
        turns: Sequence[Turn],
        turn: Turn,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Generator[Turn, None, None]:
        """Answer a message in all columns of its turn, in one batch with one λ for each row.

        Other requests can use the model between two tokens.

        Args:
            entry: the map that steers.
            turns: the earlier turns.
            turn: the turn to answer; its answers say which columns take part, and at which λ.
            stopped: asked after every token whether the answers end here.

        Yields:
            The turn with its answers so far, without toxicity and perplexity: these are those
            of finished answers, and come with the last one.

        Raises:
            UserError: the model is not installed or has no chat template, the map does not fit
                it, or the message is too long.
        """
        maps, columns = load_usable(entry), [*turn.answers]
        strengths = [answer.strength for answer in turn.answers.values()]
        length, answers = turn.sampling.max_new_tokens, [*turn.answers.values()]
        yield turn
        with self._models.use(entry.model) as model:
            check_fits(maps, model)
            asked = [
                model.recent(conversation(turns, turn, column), length, CONTEXT)
                for column in columns
            ]
            judged = [*asked]
            if "prompted" in columns:  # without its instruction
                plain = conversation(turns, turn, "prompted", instructed=False)
                judged[columns.index("prompted")] = model.recent(plain, length, CONTEXT)
        whole = [len(conversation(turns, turn, column)) for column in columns]
        left_out = [all_of - len(kept) for all_of, kept in zip(whole, asked, strict=True)]
        written = Asked(asked, maps, strengths, [turn.seed] * len(columns), turn.sampling)
        with closing(self._models.together.write(model, written)) as stream:
            for texts in stream:
                # Insults are judged at once, so that none is shown before it is blurred.
                rows = zip(strengths, texts, insults(texts), left_out, strict=True)
                answers = [Answer(s, t, insults=i, left_out=n) for s, t, i, n in rows]
                yield _answered(turn, answers)
                if stopped():
                    break
        texts = [answer.text for answer in answers]
        with self._models.use_again():
            natural = perplexity(model, judged, texts)
        scores = zip(answers, toxicity(texts), natural, strict=True)
        yield _answered(turn, [replace(a, toxicity=t, perplexity=p) for a, t, p in scores])


def _answered(turn: Turn, answers: Sequence[Answer]) -> Turn:
    return replace(turn, answers=dict(zip(turn.answers, answers, strict=True)))
