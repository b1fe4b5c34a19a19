"""Settings of a run, and the named ones: the only place where defaults live."""

from __future__ import annotations

from dataclasses import dataclass, fields

from lineas_core.errors import UserError
from lineas_core.learning.pooling import POOLINGS

__all__ = ["BUDGETS", "OPTIMIZERS", "POOLING_CHOICES", "PRECISIONS", "FitConfig", "LearnConfig"]

POOLING_CHOICES = ("auto", *POOLINGS)
OPTIMIZERS = ("adam", "adamw", "sgd")
PRECISIONS = ("auto", "bfloat16", "float32")
_RANGES: dict[str, tuple[float, float]] = {
    "iterations": (1, 100_000),
    "learning_rate": (1e-8, 10),
    "batch_size": (1, 100_000),
    "micro_batch_size": (1, 100_000),
    "sparsity": (0, 10),
    "heldout_every": (1, 100_000),
    "seed": (0, 2**53),
}
_FRACTIONS = ("learning_rate", "sparsity")
_OPTIONAL = ("batch_size", "micro_batch_size")
_CHOICES = {
    "optimizer": OPTIMIZERS,
    "pooling": POOLING_CHOICES,
    "precision": PRECISIONS,
    "standardise": (True, False),
    "both_ways": (True, False),
    "identity_loss": (True, False),
    "shift_only": (True, False),
}


@dataclass(frozen=True)
class FitConfig:
    """Settings that every method has.

    Attributes:
        pooling: `mean`, `max`, `last` or `all`, see `lineas_core.learning.pooling`; `auto` takes
            what suits the kind of model, see `SteerableModel.default_pooling`.
        precision: `bfloat16` runs a network with float32 weights in mixed precision, `float32`
            does not, `auto` does so where the processor computes bfloat16 itself. Maps and loss
            are float32 in all of them.
        micro_batch_size: prompts that pass through the network together, 1 or more; None takes
            as many as a GPU has memory for. Changes time and memory, not the result.
    """

    pooling: str = "auto"
    precision: str = "float32"  # a few passes are not worth the rounding
    micro_batch_size: int | None = None

    def __post_init__(self) -> None:
        """Refuse values that mean nothing, with the range that does."""
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in _CHOICES and value not in _CHOICES[name]:
                raise _setting(name, value, f"one of {_CHOICES[name]}")
            if name in _RANGES and not (value is None and name in _OPTIONAL):
                _check_range(name, value, *_RANGES[name])


@dataclass(frozen=True)
class LearnConfig(FitConfig):
    """Settings of a run of LinEAS, in addition to those that every method has.

    Attributes:
        iterations: optimiser steps, 1 to 100,000.
        learning_rate: initial rate, above 0 and at most 10; decays to 0 along a cosine.
        optimizer: `adam`, `adamw` or `sgd`.
        batch_size: prompts per side and step, 1 or more; None takes all.
        sparsity: γ from 0 to 10, weight of the sparse group lasso (LinEAS, Eq. 3.6); 0 moves
            every coordinate, 10 on the embedded picture model 2 to 17 % of them.
        standardise: learn in units of each coordinate's spread, see
            `lineas_core.learning.problem`; False is the paper's plain loss.
        both_ways: every other iteration carries the target prompts back to the source, with the
            inverse maps. What a look is brought in with at λ = -1 is then learnt, too, best in 300
            iterations; an object goes less surely.
        identity_loss: every other iteration asks that target prompts stay as they are. What needs
            no steering changes less, and so does what λ = 1 does.
        shift_only: maps do not scale. What differs between the prompts of a side then stays.
        heldout_every: iterations between two evaluations on held-out prompts, 1 or more.
        seed: whole number, draws the mini-batches.
    """

    precision: str = "auto"
    iterations: int = 80
    learning_rate: float = 0.02
    optimizer: str = "adam"
    batch_size: int | None = None
    sparsity: float = 0.0
    standardise: bool = True
    both_ways: bool = False
    identity_loss: bool = False
    shift_only: bool = False
    heldout_every: int = 10
    seed: int = 0


def _check_range(name: str, value: object, low: float, high: float) -> None:
    whole = name not in _FRACTIONS
    kind = int if whole else int | float
    # `not low <= value` rather than `value < low`: NaN fails every comparison.
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        noun = "a whole number" if whole else "a number"
        raise _setting(name, value, f"{noun} from {low} to {high}")


def _setting(name: str, value: object, allowed: str) -> UserError:
    return UserError("E_SETTING", f"{name} is {value!r}", remedy=f"Give {allowed}.")


BUDGETS = {
    "quick": LearnConfig(),
    "normal": LearnConfig(iterations=300),
    "thorough": LearnConfig(iterations=1000),
    "paper (language)": LearnConfig(
        iterations=1000,
        learning_rate=0.1,
        optimizer="sgd",
        batch_size=32,
        sparsity=0,
        standardise=False,
    ),
    "paper (DMD2)": LearnConfig(
        iterations=1000,
        learning_rate=1e-4,
        optimizer="adamw",
        batch_size=4,
        sparsity=0,
        standardise=False,
    ),
}
"""Named settings. The two of the paper are its sections 3.3 and 4.4; the pooling, which it leaves
open, is ours."""
