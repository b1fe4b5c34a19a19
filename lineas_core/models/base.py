"""The interface of a steerable model, shared by text and images."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from accelerate.utils import align_module_device
from torch import Tensor, nn

__all__ = [
    "Inputs",
    "SteerableModel",
    "Streams",
    "fingerprint",
    "fingerprints",
    "network_fingerprint",
]

_VALUES = 16  # of each parameter, in the fingerprint of a whole network


@dataclass(frozen=True, eq=False)
class Streams:
    """Which positions a transformer for pictures gives to a text, and which to the picture.

    Attributes:
        text: (n, t), 1 for tokens of a prompt, 0 for padding.
        picture: number of positions of the picture.
        text_first: whether the text precedes the picture where a block joins both.
    """

    text: Tensor
    picture: int
    text_first: bool = True

    def weight(self, positions: int) -> Tensor | None:
        """Return (n, positions), 1 where an activation with so many positions counts.

        In blocks that join both, the positions of the picture count. None where all count, and
        where text and picture have equally many positions, so that they cannot be told apart.
        """
        known = self.text.shape[1]
        if positions == self.picture:
            return None
        if positions == known or positions < self.picture:
            return nn.functional.pad(self.text, (0, positions - known))
        counts = torch.arange(positions) < self.picture
        return (counts.flip(0) if self.text_first else counts).float().expand(len(self.text), -1)


@dataclass(frozen=True, eq=False)
class Inputs:
    """Encoded prompts, computed once and fed to the network many times.

    Attributes:
        arguments: the tensors that `SteerableModel.forward` takes; the first axis of each runs
            over the n prompts.
        weight: (n, t), 1 for tokens included in pooling, 0 for padding and special tokens;
            None if every position is included.
        truncated: number of prompts that exceeded the model's limit and were truncated.
        shared: further arguments, which are the same for all prompts.
        streams: where positions count in a transformer for pictures; None for other networks.
    """

    arguments: dict[str, Tensor]
    weight: Tensor | None = None
    truncated: int = 0
    shared: dict[str, Any] = field(default_factory=dict)
    streams: Streams | None = None

    def __len__(self) -> int:
        return len(next(iter(self.arguments.values())))

    def rows(self, index: Tensor) -> Inputs:
        """Select some of the prompts; `index` holds their k row numbers, int64 (k,)."""
        weight, streams = self.weight, self.streams
        return replace(
            self,
            arguments={k: v[index] for k, v in self.arguments.items()},
            weight=None if weight is None else weight[index],
            streams=streams and replace(streams, text=streams.text[index]),
        )

    def weight_at(self, positions: int) -> Tensor | None:
        """Return the weight of the positions of an activation that has so many of them."""
        return self.streams.weight(positions) if self.streams else self.weight


class SteerableModel(Protocol):
    """A frozen generative model with a network in which module names resolve.

    Attributes:
        kind: `language` or `text-to-image`.
        name: catalog name, hub id or folder; written into the files of learnt maps.
        network: the frozen network.
        default_modules: the modules that `learn` steers by default.
        default_pooling: how `learn` pools over tokens or pixels by default.
        keeps_layout: whether a picture with an object and without it, from one seed, differ in
            the object alone.
    """

    kind: str
    name: str
    network: nn.Module
    default_modules: list[str]
    default_pooling: str

    @property
    def keeps_layout(self) -> bool:
        """See above; read only, so that a model may compute it."""
        ...

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Encode prompts: all computation that does not depend on the maps."""

    def with_noise(self, inputs: Inputs, seed: int) -> Inputs:
        """The same prompts with starting noise that belongs to `seed`; texts have none."""

    def forward(self, inputs: Inputs) -> Any:
        """Run one differentiable pass through the network."""

    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list:
        """Return one result per prompt; a seed gives the same result on the same machine."""


def fingerprint(network: nn.Module, names: Sequence[str]) -> str:
    """Hash the steered modules, to recognise the network that maps were learnt on.

    The hash covers name, class and parameters of the modules, so it differs between networks of
    equal shape with other weights. Parameters are hashed in bfloat16, so that it does not depend
    on the precision in which a model is loaded.

    Args:
        network: the network in which the names resolve.
        names: names of the steered modules.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name in names:
        digest.update(_sample(network, name))
    return digest.hexdigest()[:16]


def fingerprints(network: nn.Module, names: Sequence[str]) -> dict[str, str]:
    """Hash each steered module alone, to tell which weights of another network differ.

    Args:
        network: as in `fingerprint`.
        names: as in `fingerprint`.

    Returns:
        8 hexadecimal digits by module name.
    """
    return {name: hashlib.sha256(_sample(network, name)).hexdigest()[:8] for name in names}


def network_fingerprint(network: nn.Module) -> str:
    """Hash the whole network, to recognise other weights outside the steered modules.

    The hash covers name, shape and a few values of every parameter, evenly spaced and in bfloat16,
    so that it takes milliseconds and does not depend on the precision.

    Args:
        network: the network.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for name, parameter in network.named_parameters():
        parent, _, leaf = name.rpartition(".")
        module = network.get_submodule(parent)
        with align_module_device(module):  # reads what accelerate has put on the disk
            values = module.get_parameter(leaf).detach().flatten()
            sample = values[:: max(len(values) // _VALUES, 1)][:_VALUES].to("cpu", torch.bfloat16)
        digest.update(f"{name}:{tuple(parameter.shape)}".encode())
        digest.update(sample.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _sample(network: nn.Module, name: str) -> bytes:
    """Return name, class and the first parameters of a module as bytes."""
    module = network.get_submodule(name)
    parts = [f"{name}:{type(module).__name__}".encode()]
    with align_module_device(module):  # reads what accelerate has put on the disk
        for parameter in module.parameters(recurse=False):
            sample = parameter.detach().flatten()[:4096].to("cpu", torch.bfloat16)
            parts += [f"{tuple(parameter.shape)}".encode()]
            parts += [sample.view(torch.uint8).numpy().tobytes()]
    return b"".join(parts)
