"""What the method needs from a model, whatever its modality."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

__all__ = ["Inputs", "SteerableModel", "fingerprint"]


@dataclass(frozen=True, eq=False)
class Inputs:
    """Prompts, encoded once and fed to the network many times.

    Attributes:
        arguments: what `SteerableModel.forward` needs of the prompts; every tensor's first
            axis runs over these.
        weight: (n, t), 1 for a token that counts in pooling, 0 for padding and special tokens;
            None where every position counts.
        truncated: number of prompts that were longer than the model allows and were cut.
    """

    arguments: dict[str, Tensor]
    weight: Tensor | None = None
    truncated: int = 0

    def __len__(self) -> int:
        return len(next(iter(self.arguments.values())))

    def rows(self, index: Tensor) -> Inputs:
        """The same for some of the prompts; `index` is (k,) of row numbers."""
        weight = None if self.weight is None else self.weight[index]
        return Inputs({k: v[index] for k, v in self.arguments.items()}, weight, self.truncated)


class SteerableModel(Protocol):
    """A frozen generative model with a network in which module names resolve.

    Attributes:
        kind: what it makes out of a prompt, `language` or `text-to-image`.
        name: catalog name, hub id or folder; goes into the files of learnt maps.
        network: the frozen network.
        default_modules: what `learn` steers when no modules are given.
        default_pooling: what `learn` makes of the positions when nothing else is said.
    """

    kind: str
    name: str
    network: nn.Module
    default_modules: list[str]
    default_pooling: str

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Everything about the prompts that does not depend on the maps."""

    def with_noise(self, inputs: Inputs, seed: int) -> Inputs:
        """The same prompts with starting noise that belongs to `seed`; texts have none."""

    def forward(self, inputs: Inputs) -> Any:
        """One differentiable pass through the network."""

    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list:
        """One result per prompt; the same seed gives the same result on the same machine."""


def fingerprint(network: nn.Module, names: Sequence[str]) -> str:
    """Sixteen hex digits that tell whether maps fit a network.

    Covers name, kind and parameters of the steered modules, so a map of a model of the same
    shape but other weights is recognised. Parameters count in bfloat16, so that loading the
    same model in another precision changes nothing.
    """
    digest = hashlib.sha256()
    for name in names:
        module = network.get_submodule(name)
        digest.update(f"{name}:{type(module).__name__}".encode())
        for parameter in module.parameters(recurse=False):
            sample = parameter.detach().flatten()[:4096].to("cpu", torch.bfloat16)
            digest.update(f"{tuple(parameter.shape)}".encode())
            digest.update(sample.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
