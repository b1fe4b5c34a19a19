"""A text that a model has written, with what the judges say of it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Written"]


@dataclass(frozen=True)
class Written:
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
