"""Strengths λ, and whether a value is one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from lineas_core.errors import UserError

__all__ = ["Strength", "check_strength"]

Strength = float | Sequence[float]
"""One λ for the whole batch, or one λ per row."""


def check_strength(strength: Strength) -> float | Tensor:
    """Validate a strength.

    Returns:
        A finite float, or a finite float32 tensor (n,) for one λ per row.

    Raises:
        UserError: the strength is not a number, such as True or an empty list, or is NaN or
            infinite.
    """
    try:
        value = torch.as_tensor(strength, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        value = torch.tensor(float("nan"))
    if _has_bool(strength) or value.dim() > 1 or not value.numel() or not value.isfinite().all():
        raise UserError(
            "E_STRENGTH",
            f"strength is {strength!r}",
            remedy="Give a number, usually from -1 to 1, or one number per prompt.",
        )
    return value if value.dim() else float(strength)  # type: ignore[arg-type]


def _has_bool(strength: object) -> bool:
    """Return whether a strength is True or False, or a list, tensor or array with one."""
    if isinstance(strength, list | tuple):
        return any(map(_has_bool, strength))
    kind = getattr(strength, "dtype", type(strength))  # of NumPy, whose True is no `bool`
    return kind in (bool, torch.bool)
