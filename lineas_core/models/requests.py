"""What callers give to a model, checked where it comes in."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index

from lineas_core.errors import UserError
from lineas_core.models.chat import Prompt
from lineas_core.prompts.errors import check_texts

__all__ = ["check_prompts", "check_seeds"]

_LARGEST_SEED = 2**63 - 1  # int64


def check_prompts(prompts: Sequence[Prompt]) -> None:
    """Refuse what are no prompts of a model that also takes conversations.

    Args:
        prompts: texts or conversations; what is in these is checked later.

    Raises:
        UserError: it is a single text, or an item is neither text nor list.
    """
    if isinstance(prompts, Sequence) and not isinstance(prompts, str):
        prompts = [p for p in prompts if isinstance(p, str) or not isinstance(p, Sequence)]
    check_texts("prompts", prompts)


def check_seeds(seeds: Sequence[int], count: int) -> None:
    """Refuse seeds that are not one whole number for each prompt.

    Args:
        seeds: the seeds.
        count: number of prompts.

    Raises:
        UserError: there are more or fewer, or one is not a whole number of 64 bits.
    """
    if len(seeds) != count:
        raise UserError(
            "E_SEED",
            f"{count} prompts came with {len(seeds)} seeds",
            remedy="Give one seed for each prompt.",
        )
    for seed in seeds:
        try:
            fits = abs(index(seed)) <= _LARGEST_SEED
        except TypeError:
            fits = False
        if not fits:
            raise UserError("E_SEED", f"a seed is {seed!r:.60}", remedy="Give whole numbers.")
