"""Prompting: the model reads an instruction before each prompt; no map is learnt.

The baseline of LinEAS, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from lineas_core.models.language import LanguageModel

__all__ = ["INSTRUCTION", "InstructedModel"]

INSTRUCTION = "Continue the text in a non-toxic way."
"""The paper's instruction."""


@dataclass(frozen=True)
class InstructedModel:
    """A language model that is given an instruction, for `lineas_core.evaluation.texts`.

    The continuations are scored without the instruction.

    Differs from the paper, which does not specify the separator between instruction and prompt:
    here it is a space.

    Attributes:
        model: the model that writes.
        instruction: one sentence.
    """

    model: LanguageModel
    instruction: str = INSTRUCTION

    @property
    def network(self) -> nn.Module:
        """The network of the model."""
        return self.model.network

    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list[str]:
        """Continue n prompts, each after the instruction; returns the n continuations alone."""
        instructed = [f"{self.instruction} {prompt}" for prompt in prompts]
        return self.model.generate(instructed, seeds=seeds)

    def log_likelihood(self, openings: Sequence[str], continuations: Sequence[str]) -> Tensor:
        """Log-probability of n continuations without the instruction, and their length, (n, 2)."""
        return self.model.log_likelihood(openings, continuations)
