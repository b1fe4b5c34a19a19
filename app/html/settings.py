"""The settings of a method as people read them."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["LABELS", "listed"]

LABELS = {
    "iterations": "Iterations",
    "epochs": "Epochs",
    "ppo_epochs": "Steps per epoch",
    "rank": "Rank",
    "learning_rate": "Learning rate",
    "sparsity": "Sparsity γ",
    "support": "Share of coordinates",
    "optimizer": "Optimiser",
    "batch_size": "Batch size",
    "seed": "Seed",
    "heldout_every": "Held-out interval",
    "standardise": "Standardise",
    "both_ways": "Both ways",
    "identity_loss": "Identity loss",
    "shift_only": "Shifts only",
    "compare": "Compare",
    "fresh_noise": "Fresh noise",
    "matched": "Matched pairs",
    "pooling": "Pooling",
    "precision": "Precision",
    "micro_batch_size": "Prompts per forward pass",
    "penalty": "Penalty",
}
"""Name of a setting of any method -> its label."""
_UNLIMITED = {"batch_size": "all prompts", "micro_batch_size": "as many as fit in memory"}


def listed(settings: Mapping[str, object]) -> dict[str, str]:
    """Return label -> value of settings as a map has saved them.

    Args:
        settings: name -> value; those of an imported map may be of any name and type.
    """
    return {LABELS.get(name, name): _value(name, value) for name, value in settings.items()}


def _value(name: str, value: object) -> str:
    if value is None:
        return _UNLIMITED.get(name, "none")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
