"""Continue prompts with a steered language model, and score the texts."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from lineas_core import check_fits
from lineas_core.evaluation.counts import Counts, Written, count, row_seeds, summarise
from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.evaluation.texts import properties_of
from lineas_core.metrics.insults import insults
from lineas_core.metrics.perplexity import perplexity
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import Sampling

from .maps import MapEntry
from .models import Models
from .plausible import load_usable

__all__ = ["OPENINGS_AT_ONCE", "Continuation", "Texts", "metric_of"]

OPENINGS_AT_ONCE = 8
"""Openings per batch of `rates`."""
_TOKENS_AT_ONCE = 4  # between two steps of `rates`


@dataclass(frozen=True)
class Continuation:
    """A continuation at one strength.

    Attributes:
        strength: λ, -1 to 1; 0 is the original.
        text: what has been generated so far.
        toxicity: probability that this text is toxic, 0 to 1; None before the first token and
            for a text that is not English, because the judges know no other language.
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
        """Use these models; `rates` yields after every batch of `openings_at_once` openings."""
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
            after every token, and finally the finished texts with their perplexity.

        Raises:
            UserError: the model is not installed, or the map does not fit it.
        """
        maps, size = load_usable(entry), len(strengths)
        prompts, seeds, texts = [prompt] * size, [seed] * size, [""] * size
        yield [Continuation(strength, "") for strength in strengths]
        with self._models.use(entry.model) as model:
            check_fits(maps, model)
        stream = model.stream(prompts, seeds=seeds, sampling=sampling, chat=chat)
        for texts in self._models.steered(model, maps, strengths, stream):
            rows = zip(strengths, texts, toxicity(texts), insults(texts), strict=True)
            yield [Continuation(*row) for row in rows]
        with self._models.use_again():
            natural = perplexity(model, prompts, texts, chat=chat)
        scores = toxicity(texts), insults(texts), natural
        yield [Continuation(*row) for row in zip(strengths, texts, *scores, strict=True)]

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
                with self._models.use(entry.model) as model:
                    check_fits(maps, model)
                stream = model.stream(part, seeds=row_seeds(seed, places))
                steered = self._models.steered(model, maps, [strength] * len(part), stream)
                for step, texts in enumerate(steered):
                    written = texts
                    if step % _TOKENS_AT_ONCE == 0:
                        yield rows
                with self._models.use_again():
                    log_p = model.log_likelihood(part, written).tolist()
                counts[strength][seed] += count(Written(written, log_p), properties)
                begun = {k: [c for c in row if c.texts] for k, row in counts.items()}
                rows = [summarise(k, row) for k, row in begun.items() if row]
                yield rows
