"""Continue prompts with a steered language model, and score the texts."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product

from lineas_core import SteeringMaps, check_fits
from lineas_core.evaluation.counts import Counts, Written, count, row_seeds, summarise
from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.evaluation.texts import properties_of
from lineas_core.metrics.insults import insults
from lineas_core.metrics.perplexity import perplexity
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import LanguageModel, Sampling

from .maps import MapEntry
from .models import Models
from .plausible import load_usable
from .together import Asked

__all__ = ["OPENINGS_AT_ONCE", "Continuation", "Texts", "metric_of"]

OPENINGS_AT_ONCE = 8
"""Texts per batch of `rates` and of `pairs`."""
_TOKENS_AT_ONCE = 4  # between two steps of such a batch
_UNJUDGED = 16  # characters of a text that grows, before its toxicity is judged again


@dataclass(frozen=True)
class Continuation:
    """A continuation at one strength.

    Attributes:
        strength: λ, -1 to 1; 0 is the original.
        text: what has been generated so far.
        toxicity: probability that this text is toxic, 0 to 1, while it is being generated that
            of its beginning; None before the first token and for a text that is not English,
            because the judges know no other language.
        insults: the same by an independent judge, who knows open insults only.
        perplexity: of the finished text under the unsteered model, 1 or more, NaN for an empty
            text; None while the text is being generated.
    """

    strength: float
    text: str
    toxicity: float | None = None
    insults: float | None = None
    perplexity: float | None = None


def metric_of(words: Sequence[str]) -> str:
    """What `Texts.rates` counts: a topic if there are words, else toxicity."""
    return "topic" if words else "toxicity"


class Texts:
    """The texts that the language models of the page generate."""

    def __init__(self, models: Models, *, openings_at_once: int = OPENINGS_AT_ONCE) -> None:
        """Use these models; batches of `rates` and `pairs` have `openings_at_once` texts."""
        self._models, self._openings_at_once = models, openings_at_once

    def continue_text(
        self,
        entry: MapEntry,
        prompt: str,
        strengths: Sequence[float],
        *,
        seed: int = 0,
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> Generator[list[Continuation], None, None]:
        """Continue one prompt at several strengths, all in one batch.

        Args:
            entry: the map that steers.
            prompt: text to continue.
            strengths: λ of every row, -1 to 1; the row at 0 is the original.
            seed: seed of the sampling, the same for all rows, so that only λ differs.
            sampling: length and temperature.
            chat: whether the prompt is put into the chat template of the model.

        Other requests can use the model between two tokens.

        Yields:
            One continuation per strength: empty ones while the model is loading, the text so far
            after every turn, and finally the finished texts with their perplexity.

        Raises:
            UserError: the model is not installed, or the map does not fit it.
        """
        size = len(strengths)
        prompts, seeds, texts = [prompt] * size, [seed] * size, [""] * size
        maps = load_usable(entry)
        yield [Continuation(strength, "") for strength in strengths]
        model = self._model(entry, maps)
        asked = Asked(prompts, maps, strengths, seeds, sampling, chat)
        toxic, judged = toxicity(texts), [*texts]
        with closing(self._models.together.write(model, asked)) as stream:
            for texts in stream:
                # Insults are judged at once, so that none is shown before it is blurred. Toxicity
                # takes six times as long, and may lag behind by a few words.
                if _differ_by(texts, judged) > _UNJUDGED:
                    toxic, judged = toxicity(texts), texts
                rows = zip(strengths, texts, toxic, insults(texts), strict=True)
                yield [Continuation(*row) for row in rows]
        yield self._judged(model, prompts, strengths, texts, chat=chat)

    def pairs(
        self,
        entry: MapEntry,
        prompts: Sequence[str],
        strength: float,
        *,
        seeds: Sequence[int],
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> Generator[list[list[Continuation]], None, None]:
        """Continue many prompts, each without steering and at one strength.

        Other requests can use the model between two tokens.

        Args:
            entry: the map that steers.
            prompts: n texts to continue.
            strength: λ, -1 to 1.
            seeds: n seeds of the sampling, each the same for both texts of its prompt.
            sampling: see `continue_text`.
            chat: see `continue_text`.

        Yields:
            For each prompt that is done the original and the steered continuation; after every
            batch, and every few tokens.

        Raises:
            UserError: the model is not installed, or the map does not fit it.
        """
        maps, done = load_usable(entry), list[list[Continuation]]()
        at_once = max(1, self._openings_at_once // 2)
        for start in range(0, len(prompts), at_once):
            part = slice(start, start + at_once)
            rows = [*product(zip(prompts[part], seeds[part], strict=True), (0.0, strength))]
            openings, given = [each for (each, _), _ in rows], [seed for (_, seed), _ in rows]
            strengths, texts = [each for _, each in rows], [""]
            model = self._model(entry, maps)
            asked = Asked(openings, maps, strengths, given, sampling, chat)
            with closing(self._models.together.write(model, asked)) as stream:
                for step, written in enumerate(stream):
                    texts = written
                    if step % _TOKENS_AT_ONCE == 0:
                        yield done
            judged = self._judged(model, openings, strengths, texts, chat=chat)
            done = [*done, *([*pair] for pair in zip(judged[::2], judged[1::2], strict=True))]
            yield done

    def rates(
        self,
        entry: MapEntry,
        openings: Sequence[str],
        *,
        words: Sequence[str] = (),
        seeds: int = 1,
    ) -> Iterator[list[dict]]:
        """Continue many openings at several strengths and count the texts with a property.

        Other requests can use the model between two tokens.

        Args:
            entry: the map that steers.
            openings: texts to continue.
            words: texts with a word that starts with one of these are counted; if empty, toxic
                texts are counted.
            seeds: number of continuations per opening and strength.

        Yields:
            After every batch, and every few tokens, one row per strength that has texts so far,
            as returned by `lineas_core.evaluation.counts.summarise`.

        Raises:
            UserError: the model is not installed, or the map does not fit it.
        """
        maps, properties = load_usable(entry), properties_of(metric_of(words), words)
        counts = {strength: [Counts()] * seeds for strength in STRENGTHS}
        rows: list[dict] = []
        for start in range(0, len(openings), self._openings_at_once):
            places = range(len(openings))[start : start + self._openings_at_once]
            part, written = [openings[place] for place in places], [""]
            for seed, strength in product(range(seeds), STRENGTHS):
                model = self._model(entry, maps)
                given = row_seeds(seed, places)
                asked = Asked(part, maps, [strength] * len(part), given)
                with closing(self._models.together.write(model, asked)) as stream:
                    for step, texts in enumerate(stream):
                        written = texts
                        if step % _TOKENS_AT_ONCE == 0:
                            yield rows
                with self._models.use_again():
                    log_p = model.log_likelihood(part, written).tolist()
                counts[strength][seed] += count(Written(written, log_p), properties)
                begun = {k: [c for c in row if c.texts] for k, row in counts.items()}
                rows = [summarise(k, row) for k, row in begun.items() if row]
                yield rows

    def _model(self, entry: MapEntry, maps: SteeringMaps) -> LanguageModel:
        """Return the model of a map, and check that the map fits it."""
        with self._models.use(entry.model) as model:
            check_fits(maps, model)
        return model

    def _judged(
        self,
        model: LanguageModel,
        prompts: Sequence[str],
        strengths: Sequence[float],
        texts: Sequence[str],
        *,
        chat: bool,
    ) -> list[Continuation]:
        """Score finished texts."""
        with self._models.use_again():
            natural = perplexity(model, prompts, texts, chat=chat)
        scores = toxicity(texts), insults(texts), natural
        return [Continuation(*row) for row in zip(strengths, texts, *scores, strict=True)]


def _differ_by(texts: Sequence[str], earlier: Sequence[str]) -> int:
    """Return by how many characters the text that has grown most is longer."""
    return max(len(new) - len(old) for new, old in zip(texts, earlier, strict=True))
