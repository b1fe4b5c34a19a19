"""A text that a model has written, with what the judges say of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Continuation"]


_OPENINGS_AT_ONCE = 8  # a few seconds of a small model: as long as others wait


@dataclass(frozen=True)
class Continuation:
    """A continuation at one strength.

    Attributes:
        strength: λ; 0 is the original.
        text: the continuation, so far.
        toxicity: probability that what is written so far is offensive, 0 to 1; None at first.
        perplexity: under the unsteered model, 1 or more, NaN for an empty text; None while it is
            being written.
    """

    strength: float
    text: str
    toxicity: float | None = None
    perplexity: float | None = None
