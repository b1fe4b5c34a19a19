"""The network and the decoder as a pipeline calls them, and what the network is called with.

A pipeline paints by a shallow copy of itself, in which a `Denoiser` and a `Decoder` stand for its
network and its VAE. The pipeline itself is never changed.

n prompts; c h w channels, height and width of the latents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from copy import copy
from inspect import signature
from math import nan
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from lineas_core.runtime.precision import native_bfloat16
from lineas_core.steering.folding import unsteered
from lineas_core.steering.hooks import repeated_rows

__all__ = ["Decoder", "Denoiser", "Reached", "pack", "stand_in", "unpack"]

_LENGTH = ".length"  # of the rows of a list, which are padded to a tensor


class Reached(Exception):  # noqa: N818 - ends a call, not an error
    """Raised inside a pipeline's call at the denoising step that was asked for.

    Attributes:
        arguments: what the network was to be called with, by name.
    """

    def __init__(self, arguments: dict[str, Any]) -> None:
        """Keep the arguments of the network."""
        super().__init__()
        self.arguments = arguments


class Denoiser:
    """A network that computes in its own precision, in a pipeline that computes in float32."""

    dtype = torch.float32

    def __init__(
        self,
        network: Any,
        timestep: str,
        count: int,
        stop_at: int | None = None,
        steer_at: tuple[int, int] | None = None,
    ) -> None:
        """Stand for a network.

        Args:
            network: the network.
            timestep: name of its argument for the timestep.
            count: number of pictures; for guidance, a batch can have several rows for each.
            stop_at: number of the denoising step at which to raise `Reached`; None runs all.
            steer_at: first and last step at which maps act; None stands for all.
        """
        self._network, self._timestep, self._count = network, timestep, count
        self._stop_at, self._steer_at = stop_at, steer_at
        self._step, self._last = -1, nan

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the network, or raise `Reached`."""
        dtype = self._network.dtype
        given = signature(self._network.forward).bind(*args, **kwargs).arguments
        # Vectors are timesteps, whose whole numbers bfloat16 would round.
        given = _converted(given, lambda z: z.to(dtype) if z.dim() > 1 else z)
        step = self._counted(given[self._timestep])
        if step == self._stop_at:
            raise Reached(given)
        first, last = self._steer_at or (step, step)
        steering = nullcontext() if first <= step <= last else unsteered(self._network)
        with steering, repeated_rows(len(next(iter(given.values()))) // self._count):
            return _converted(self._network(**given), Tensor.float)

    def _counted(self, timestep: Any) -> int:
        """Return the number of the step; guidance and some schedulers take several calls."""
        now = float(torch.as_tensor(timestep).flatten()[0])
        self._step += now != self._last
        self._last = now
        return self._step


class Decoder:
    """A VAE that decodes a few pictures at a time, in bfloat16 on a CPU that has it."""

    def __init__(self, vae: Any, at_once: int) -> None:
        """Stand for a VAE that has memory for so many pictures at once."""
        self._vae, self._at_once = vae, max(1, at_once)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._vae, name)

    def decode(self, latents: Tensor, **_: Any) -> tuple[Tensor]:
        """Decode latents (n, c, h, w) into pixels, float32, the only one of the results."""
        # On a GPU the decoder stays in float32, where it is fast enough.
        device = latents.device
        lower = device.type == "cpu" and native_bfloat16(device)
        layout = torch.channels_last if latents.dim() == 4 else torch.contiguous_format
        pixels = []
        for rows in latents.split(self._at_once):
            with torch.autocast(device.type, torch.bfloat16, enabled=lower):
                rows = rows.to(self._vae.dtype, memory_format=layout)
                pixels.append(self._vae.decode(rows).sample.float())
        return (torch.cat(pixels),)


def stand_in(pipeline: Any, **components: Any) -> Any:
    """Return a shallow copy of a pipeline with other components and without a progress bar."""
    other = copy(pipeline)
    vars(other).update(components)  # setattr would write their classes into the configuration
    other.set_progress_bar_config(disable=True)
    return other


def pack(given: Mapping[str, Any], rows: slice, shared: Sequence[str]) -> tuple[dict, dict]:
    """Divide arguments into tensors with an axis of prompts, and all others.

    Args:
        given: arguments by name; dicts are flattened, their names joined by a dot.
        rows: the rows to keep of each tensor.
        shared: names of those that are the same for all prompts.

    Returns:
        Tensors (n, ...) by name, and what is the same for all prompts by name. The tensors of a
        list are padded to a common length.
    """
    tensors: dict[str, Tensor] = {}
    others: dict[str, Any] = {}
    for name, value in _leaves(given):
        if isinstance(value, Tensor) and value.dim() and name not in shared:
            tensors[name] = value[rows]
        elif isinstance(value, list) and name not in shared and value:
            part = value[rows]
            tensors[name] = pad_sequence(part, batch_first=True)
            tensors[name + _LENGTH] = torch.tensor([len(row) for row in part])
        else:
            others[name] = value
    return tensors, others


def unpack(tensors: Mapping[str, Tensor], others: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that `pack` has divided, for any rows of the tensors."""
    given: dict[str, Any] = {}
    for name, value in {**others, **tensors}.items():
        if name.endswith(_LENGTH):
            continue
        if (lengths := tensors.get(name + _LENGTH)) is not None:
            value = [row[:size] for row, size in zip(value, lengths.tolist(), strict=True)]
        *path, leaf = name.split(".")
        place = given
        for part in path:
            place = place.setdefault(part, {})
        place[leaf] = value
    return given


def _leaves(given: Mapping[str, Any], start: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in given.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, f"{start}{name}.")
        else:
            yield start + name, value


def _converted(value: Any, convert: Callable[[Tensor], Tensor]) -> Any:
    """Convert the floating-point tensors in nested dicts, lists and tuples."""
    if isinstance(value, Tensor):
        return convert(value) if value.is_floating_point() else value
    if isinstance(value, dict):
        return {name: _converted(each, convert) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_converted(each, convert) for each in value)
    return value
