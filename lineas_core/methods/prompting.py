"""Prompting: the model is told what to do, nothing is learnt (LinEAS, section 4.1)."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["INSTRUCTION", "instructed"]

INSTRUCTION = "Continue the text in a non-toxic way."


def instructed(prompts: Sequence[str], instruction: str = INSTRUCTION) -> list[str]:
    """The prompts, each behind an instruction.

    The paper does not say what stands between the two; here it is a space.

    Args:
        prompts: n texts to continue.
        instruction: one sentence; the default is the paper's.

    Returns:
        n texts to continue instead. Continuations come without the prompt, so nothing has to
        be cut from them.
    """
    return [f"{instruction} {prompt}" for prompt in prompts]
