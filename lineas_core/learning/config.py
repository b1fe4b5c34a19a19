"""Settings of the methods with their defaults, ranges and named budgets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from lineas_core.errors import UserError
from lineas_core.learning.pooling import POOLINGS
from lineas_core.prompts.errors import check_list

__all__ = [
    "BUDGETS",
    "COMPARISONS",
    "MATCHING",
    "OPTIMIZERS",
    "POOLING_CHOICES",
    "PRECISIONS",
    "FitConfig",
    "LearnConfig",
    "SelectConfig",
    "check_settings",
    "check_sides",
    "suited_config",
]

POOLING_CHOICES = ("auto", *POOLINGS)
OPTIMIZERS = ("adam", "adamw", "sgd")
COMPARISONS = ("activations", "output")
MATCHING = ("auto", "yes", "no")
PRECISIONS = ("auto", "bfloat16", "float32")
_RANGES: dict[str, tuple[float, float]] = {
    "iterations": (1, 100_000),
    "learning_rate": (1e-8, 10),
    "batch_size": (1, 100_000),
    "micro_batch_size": (1, 100_000),
    "sparsity": (0, 10),
    "support": (1e-4, 1),
    "heldout_every": (1, 100_000),
    "rank": (1, 256),
    "epochs": (1, 10_000),
    "ppo_epochs": (1, 1000),
    "seed": (0, 2**53),
}
_FRACTIONS = ("learning_rate", "sparsity", "support")
_MIN_PROMPTS = 2  # per side: one prompt has no spread
_OPTIONAL = ("batch_size", "micro_batch_size")
_CHOICES = {
    "optimizer": OPTIMIZERS,
    "pooling": POOLING_CHOICES,
    "precision": PRECISIONS,
    "standardise": (True, False),
    "compare": COMPARISONS,
    "fresh_noise": (True, False),
    "matched": MATCHING,
    "both_ways": (True, False),
    "identity_loss": (True, False),
    "shift_only": (True, False),
}


@dataclass(frozen=True)
class FitConfig:
    """Settings that every method has.

    Attributes:
        pooling: `mean`, `max`, `last` or `all`, see `lineas_core.learning.pooling`; `auto` takes
            the one that suits the kind of model, see `SteerableModel.default_pooling`.
        precision: `bfloat16` runs a network with float32 weights in mixed precision, `float32`
            does not, and `auto` does so where the processor computes bfloat16 natively; elsewhere
            it computes in float32, and saves for the gradient in bfloat16 (see
            `lineas_core.runtime.packing`). Maps and loss are float32 in all cases.
        micro_batch_size: prompts that pass through the network together, 1 to 100,000; None
            means all on a CPU, and as many as the memory holds on a GPU. It changes time and
            memory, not the result.

    Raises:
        UserError: a value is out of range.
    """

    pooling: str = "auto"
    precision: str = "float32"  # a few passes are not worth the rounding error
    micro_batch_size: int | None = None

    def __post_init__(self) -> None:
        """Check every setting against its range or its list of choices."""
        for field in fields(self):
            name, value = field.name, getattr(self, field.name)
            if name in _CHOICES and value not in _CHOICES[name]:
                raise _setting_error(name, value, " or ".join(map(str, _CHOICES[name])))
            if name in _RANGES and not (value is None and name in _OPTIONAL):
                _check_range(name, value, *_RANGES[name])


@dataclass(frozen=True)
class SelectConfig(FitConfig):
    """Settings of a method that can leave coordinates out, in addition to those of every method.

    Attributes:
        support: share of the coordinates that may be steered, 0.0001 to 1: those in which the
            two sides differ most, see `lineas_core.learning.selection`.

    Raises:
        UserError: a value is out of range.
    """

    support: float = 1.0


@dataclass(frozen=True)
class LearnConfig(SelectConfig):
    """Settings of LinEAS, in addition to those that every method has, and `support`.

    Attributes:
        iterations: number of optimiser steps, 1 to 100,000.
        learning_rate: initial rate, 1e-8 to 10; it decays to 0 along a cosine.
        optimizer: `adam`, `adamw` or `sgd`.
        batch_size: prompts per side and iteration, 1 to 100,000; None means all of them.
        sparsity: γ, weight of the sparse group lasso, 0 to 10 (LinEAS, Eq. 3.6). 0 moves every
            coordinate; on the embedded picture model 10 moves 4 to 15% of them.
        standardise: learn in units of each coordinate's spread, see
            `lineas_core.learning.problem`; False means the paper's plain loss.
        compare: what the loss compares. `activations`: the pooled activations of the steered
            modules, as in the paper. `output`: what the network of a picture model gives out, each
            channel at each position as a coordinate of its own. That is what the picture shows;
            an object then goes without leaving a ghost.
        fresh_noise: draw the noise of every prompt anew at each iteration, as the paper does.
            False keeps one noise per prompt, so that target prompts run once. No effect on texts.
        matched: whether the prompts are pairs, line k of the source with the concept and line k
            of the target without it. A mini-batch then takes the same lines, with the same noise.
            `auto`: `yes` if the two lines of every pair differ by added words only, else `no`.
        both_ways: a third of the iterations steer target prompts back to the source with the
            inverse maps. Negative strengths then add the concept clearly; otherwise they may break
            a picture. It takes more iterations, such as the normal budget.
        identity_loss: every other iteration penalises changes to target prompts, and, with
            `both_ways`, of source prompts by the inverse maps. What needs no steering then
            changes less; in texts the effect at λ = 1 is also weaker.
        shift_only: learn shifts but no scales, so that differences between the prompts of one
            side are preserved.
        heldout_every: iterations between two evaluations on held-out prompts, 1 to 100,000.
        seed: whole number, 0 to 2**53; it determines the mini-batches.

    Raises:
        UserError: a value is out of range.
    """

    precision: str = "auto"
    iterations: int = 80
    learning_rate: float = 0.02
    optimizer: str = "adam"
    batch_size: int | None = None
    sparsity: float = 0.0
    standardise: bool = True
    compare: str = "activations"
    fresh_noise: bool = False
    matched: str = "auto"
    both_ways: bool = False
    identity_loss: bool = False
    shift_only: bool = False
    heldout_every: int = 10
    seed: int = 0


def check_settings(config: FitConfig, kind: type[FitConfig], method: str) -> None:
    """Refuse settings that belong to another method.

    Args:
        config: the settings given by the caller.
        kind: the class that the method needs.
        method: name of the method, for the error.

    Raises:
        UserError: `config` is not of this class.
    """
    if not isinstance(config, kind):
        raise UserError(
            "E_SETTING",
            f"the settings for {method} are a {type(config).__name__}",
            remedy=f"Give a {kind.__name__}, or none.",
        )


def check_sides(source: Sequence[str], target: Sequence[str]) -> None:
    """Refuse sides that are no lists of at least two prompts.

    Raises:
        UserError: a side is refused.
    """
    for side, prompts in (("source", source), ("target", target)):
        check_list(side, prompts)  # the model checks what is in it
        if len(prompts) < _MIN_PROMPTS:
            remedy = f"Give at least {_MIN_PROMPTS}, better 32."
            raise UserError("E_PROMPTS", f"{side} has {len(prompts)} prompts", remedy=remedy)


def _check_range(name: str, value: object, low: float, high: float) -> None:
    whole = name not in _FRACTIONS
    kind = int if whole else int | float
    # `not low <= value` rather than `value < low`: NaN fails every comparison.
    if isinstance(value, bool) or not isinstance(value, kind) or not low <= value <= high:
        noun = "a whole number" if whole else "a number"
        raise _setting_error(name, value, f"{noun} from {low} to {high}")


def _setting_error(name: str, value: object, allowed: str) -> UserError:
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
"""Name -> settings. The last two are those of LinEAS, sections 3.3 and 4.4; the paper does not
specify the pooling, so it is ours."""

# Adam moves every coordinate about as far, gradient descent those most in which the sides differ.
_LATE: dict[str, Any] = {"shift_only": True, "optimizer": "sgd", "learning_rate": 0.1}
_SAME_LAYOUT: dict[str, Any] = {
    "compare": "output",
    "fresh_noise": True,
    "identity_loss": True,
    "batch_size": 8,
    "learning_rate": 0.04,
}


def suited_config(
    concept_kind: str = "",
    budget: str = "quick",
    *,
    keeps_layout: bool = False,
    preset: str = "",
) -> LearnConfig:
    """Return a budget with the settings that suit a concept and a model.

    They were found in docs/clean-removal.md (pictures) and assets/tables/README.md (texts).

    Args:
        concept_kind: `PromptSet.kind`; empty if unknown.
        budget: a key of `BUDGETS`; those of the paper are returned as they are.
        keeps_layout: as in `SteerableModel`; False also for picture models whose layout depends
            on the prompt, on which these settings were not tried.
        preset: what `lineas_core.learning.suited.suited_preset` returns.
    """
    config = BUDGETS[budget]
    if budget.startswith("paper"):
        return config
    if keeps_layout:
        # The quick budget is too short to learn both directions.
        return replace(config, **_SAME_LAYOUT, both_ways=budget != "quick")
    if concept_kind == "style":
        return replace(config, both_ways=True)
    if concept_kind == "manner":
        return replace(config, identity_loss=True, shift_only=True)
    if concept_kind == "topic" and preset:
        return replace(config, **_LATE)
    return config
