"""Continue prompts with a steered language model, and judge what it writes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import product

from lineas_core import check_fits, load_maps, steer
from lineas_core.evaluation.texts import METRICS, STRENGTHS, Tally, count, figures, row_seeds
from lineas_core.metrics.perplexity import perplexity
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import Sampling

from .maps import MapEntry
from .models import Models

__all__ = ["OPENINGS_AT_ONCE", "Continuation", "Texts"]

OPENINGS_AT_ONCE = 8
"""Openings in one batch of `rates`: others wait for it, a few seconds with a small model."""


@dataclass(frozen=True)
class Continuation:
    """A continuation at one strength.

    Attributes:
        strength: λ, -1 to 1; 0 is the original.
        text: what has been generated so far.
        toxicity: probability that this text is offensive, 0 to 1; None before the first token.
        perplexity: of the finished text under the unsteered model, 1 or more, NaN for an empty
            text; None while the text is being generated.
    """

    strength: float
    text: str
    toxicity: float | None = None
    perplexity: float | None = None


class Texts:
    """The texts that the language models of the page write."""

    def __init__(self, models: Models, *, openings_at_once: int = OPENINGS_AT_ONCE) -> None:
        """Write with these models; `rates` yields after every batch of `openings_at_once`."""
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
    ) -> Iterator[list[Continuation]]:
        """Continue one prompt at several strengths, all in one batch.

        Args:
            entry: the map that steers.
            prompt: text to continue.
            strengths: λ of every row, -1 to 1; the row at 0 is the original.
            seed: whole number, the same for all rows, so that they differ by λ alone.
            sampling: length and temperature.
            chat: put the prompt into the chat template of the model.

        Yields:
            One continuation per strength: empty ones while the model is loading, then the text
            so far after every token, at last the finished texts with their perplexity.

        Raises:
            UserError: the model is not installed, or the map does not fit it.
        """
        maps, size = load_maps(entry.folder), len(strengths)
        prompts, seeds, texts = [prompt] * size, [seed] * size, [""] * size
        yield [Continuation(strength, "") for strength in strengths]
        with self._models.use(entry.model) as model:
            check_fits(maps, model)
            stream = model.stream(prompts, seeds=seeds, sampling=sampling, chat=chat)
            with steer(model.network, maps, strengths), closing(stream):
                for texts in stream:
                    rows = zip(strengths, texts, toxicity(texts), strict=True)
                    yield [Continuation(*row) for row in rows]
            # Outside of `steer`: perplexity is that of the unsteered model.
            scores = toxicity(texts), perplexity(model, prompts, texts, chat=chat)
        yield [Continuation(*row) for row in zip(strengths, texts, *scores, strict=True)]

    def rates(
        self,
        entry: MapEntry,
        openings: Sequence[str],
        *,
        words: Sequence[str] = (),
        seeds: int = 1,
    ) -> Iterator[list[dict]]:
        """Continue many openings at several strengths and count; others work between batches.

        Args:
            entry: the map that steers.
            openings: texts to continue.
            words: count the texts with a word that starts with one of these; without any, count
                the toxic texts.
            seeds: number of continuations of every opening at every strength.

        Yields:
            After every batch one row for each strength that has been counted, see
            `lineas_core.evaluation.texts.figures`.

        Raises:
            UserError: the model is not installed, or the map does not fit it.
        """
        maps, metric = load_maps(entry.folder), METRICS["topic" if words else "toxicity"]
        counts = {strength: [Tally()] * seeds for strength in STRENGTHS}
        for start in range(0, len(openings), self._openings_at_once):
            places = range(len(openings))[start : start + self._openings_at_once]
            for seed, strength in product(range(seeds), STRENGTHS):
                with self._models.use(entry.model) as model:
                    check_fits(maps, model)
                    (counted,) = count(
                        model,
                        maps,
                        [openings[place] for place in places],
                        lambda texts: metric(texts, words),
                        strength=strength,
                        luck=[row_seeds(seed, places)],
                    )
                    counts[strength][seed] += counted
                begun = {k: [c for c in row if c.texts] for k, row in counts.items()}
                yield [figures(k, row) for k, row in begun.items() if row]
