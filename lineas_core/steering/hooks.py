"""Record the activations of modules and steer them; the only file that registers hooks.

Every context manager removes its hooks when the block ends, also after an exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import torch
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.eager import eager, inside, named_modules
from lineas_core.steering.low_rank import LowRankMap
from lineas_core.steering.strength import Strength, check_strength

__all__ = [
    "Complete",
    "Fit",
    "coordinate_axis",
    "fit_in_passing",
    "path_to",
    "paused",
    "record",
    "repeated_rows",
    "some_rows",
    "steer",
]


_TIMES: ContextVar[int] = ContextVar("times", default=1)  # see `repeated_rows`
_SOME: ContextVar[tuple[Sequence[int], int] | None] = ContextVar("some", default=None)
_PAUSED: ContextVar[bool] = ContextVar("paused", default=False)
_CHANNELS_FIRST = (nn.GroupNorm, nn.modules.batchnorm._NormBase, nn.modules.conv._ConvNd)


def coordinate_axis(module: nn.Module) -> int:
    """Return the axis of the module's output that holds coordinates: 1 (channels first) or -1."""
    return 1 if isinstance(module, _CHANNELS_FIRST) else -1


Pool = Callable[[Tensor, int], Tensor]
"""(activation, coordinate axis) -> activation (n, d), see `lineas_core.learning.pooling`."""
Fit = Callable[[str, Tensor, int], AffineMap]
"""(module name, activation, coordinate axis) -> the map to apply to it."""


class Complete(Exception):  # noqa: N818 - ends a pass, not an error
    """Raised inside a forward pass to end it once every named module has run."""


@contextmanager
def record(
    network: nn.Module, names: Iterable[str], *, pool: Pool | None = None, stop: bool = False
) -> Iterator[dict[str, Tensor]]:
    """Record the outputs of the named modules.

    Args:
        network: the network in which the names resolve.
        names: dotted module names, each executed once per forward pass.
        pool: applied to each activation immediately, so that only (n, d) is kept; None keeps
            the full activations.
        stop: end the forward pass after the last named module has run, so that later modules
            (head, decoder) are not computed. This raises `Complete`, which skips the rest of
            the `with` block unless the caller suppresses it around the pass.

    Yields:
        A dict, module name -> activation or pooled activation (n, d), that fills during the
        pass and no longer changes once every module has run.

    Raises:
        UserError: a module is missing or does not return one tensor.
    """
    wanted = dict.fromkeys(names)
    activations: dict[str, Tensor] = {}

    def keep(name: str, module: nn.Module, _: tuple, output: Tensor) -> None:
        value = pool(output, coordinate_axis(module)) if pool else output
        if len(activations) == len(wanted):
            return  # a checkpointed block is recomputed; keeping its output would leak memory
        activations[name] = value
        if stop and len(activations) == len(wanted):
            raise Complete

    with _hooked(network, wanted, keep), suppress(Complete):
        yield activations


@contextmanager
def fit_in_passing(
    network: nn.Module, names: Iterable[str], fit: Fit
) -> Iterator[dict[str, AffineMap]]:
    """Fit a map to each named module's output during a forward pass and apply it immediately.

    Later modules therefore see steered activations, as sequential methods require, and a single
    pass fits all maps.

    Args:
        network: the network in which the names resolve.
        names: dotted module names, each executed once per forward pass.
        fit: returns the map of one module.

    Yields:
        A dict, module name -> map, that fills during the pass. The pass ends by raising
        `Complete` once every module has its map, as in `record`.

    Raises:
        UserError: a module is missing or does not return one tensor.
    """
    wanted = dict.fromkeys(names)
    maps: dict[str, AffineMap] = {}

    def fit_and_apply(name: str, module: nn.Module, args: tuple, output: Tensor) -> Tensor:
        axis = coordinate_axis(module)
        maps[name] = fit(name, output, axis)
        if len(maps) == len(wanted):
            raise Complete
        return _apply(maps[name], args, output, axis, name)

    with _hooked(network, wanted, fit_and_apply), suppress(Complete):
        yield maps


@contextmanager
def steer(network: nn.Module, maps: SteeringMaps, strength: Strength = 1.0) -> Iterator[nn.Module]:
    """Apply the maps to every token or pixel of the named modules' outputs (LinEAS, Eq. 3.1).

    Nested blocks combine concepts: the outer one acts first. At strength 0 no hook is registered,
    so the outputs equal those of the original network bit for bit. Whatever is compiled runs
    eagerly while the block runs; `fold` keeps it compiled where it needs no hooks.

    Args:
        network: the network in which the maps' module names resolve.
        maps: the learnt maps.
        strength: λ, or one λ per row of the batch.

    Yields:
        The network.

    Raises:
        UserError: a module is missing, its width differs, the strength is not finite, or the block
            begins inside a compiled function.
    """
    unsteered = not torch.as_tensor(check_strength(strength)).any()
    device = next(network.parameters(), torch.empty(0)).device
    steps = {} if unsteered else dict(maps.to(device).at(strength))

    def apply(name: str, module: nn.Module, args: tuple, output: Tensor) -> Tensor | None:
        if _PAUSED.get():
            return None
        # Keep the copy: in a network spread over devices, every pass would wait for a transfer.
        step = steps[name] = steps[name].to(output.device)
        return _apply(step, args, output, coordinate_axis(module), name)

    with _hooked(network, steps, apply):
        yield network


@contextmanager
def repeated_rows(times: int) -> Iterator[None]:
    """Run passes whose batch repeats all of its rows, as for guidance; so do their strengths."""
    token = _TIMES.set(times)
    try:
        yield
    finally:
        _TIMES.reset(token)


@contextmanager
def some_rows(rows: Sequence[int], count: int) -> Iterator[None]:
    """Run passes whose batch has some rows of a larger one, in any order; so do their strengths.

    Args:
        rows: numbers of the rows, from 0.
        count: number of rows of the larger batch, for which strengths are given.
    """
    token = _SOME.set((rows, count))
    try:
        yield
    finally:
        _SOME.reset(token)


@contextmanager
def paused() -> Iterator[None]:
    """Run passes to which the hooks of `steer` do nothing; see `folding.unsteered`."""
    token = _PAUSED.set(True)
    try:
        yield
    finally:
        _PAUSED.reset(token)


@contextmanager
def _hooked(
    network: nn.Module,
    names: Iterable[str],
    act: Callable[[str, nn.Module, tuple, Tensor], Tensor | None],
) -> Iterator[None]:
    """Call `act` with name, module, arguments and output of each named module.

    A result replaces the output.
    """
    paths = {name: path_to(network, name) for name in names}
    with ExitStack() as handles:
        if paths:
            handles.enter_context(eager())
        for name, path in paths.items():
            handles.enter_context(
                path[-1].register_forward_hook(
                    lambda module, args, output, name=name: act(
                        name, module, args, _tensor(output, name)
                    )
                )
            )
        yield


def _tensor(output: object, name: str) -> Tensor:
    if not isinstance(output, Tensor):
        raise UserError(
            "E_MODULES",
            f"{name} returns a {type(output).__name__}, not one tensor",
            remedy="Choose a module inside it, such as a norm or a linear layer.",
        )
    return output


def _apply(
    step: AffineMap | LowRankMap, args: tuple, output: Tensor, axis: int, name: str
) -> Tensor:
    if output.shape[axis] != step.width:
        raise UserError(
            "E_MODEL",
            f"{name} has {output.shape[axis]} coordinates, the map has {step.width}",
            remedy="Load the model that the map was learnt on.",
        )
    if step.rows is not None:
        step = _of_batch(step, len(output))
    read = args[0] if args else output
    if isinstance(step, LowRankMap) and (wrong := step.misread(read, axis, called=bool(args))):
        raise UserError(
            "E_MODEL", f"{name} {wrong}", remedy="Load the model that the map was learnt on."
        )
    return step.apply(output, axis, read)


def _of_batch(step: AffineMap | LowRankMap, count: int) -> AffineMap | LowRankMap:
    """Return the map with a row for each of the `count` rows of a batch."""
    found = count // (times := _TIMES.get())
    some = _SOME.get()
    rows, whole = some or (range(found), found)
    if step.rows != whole or len(rows) != found:
        raise UserError(
            "E_STRENGTH",
            f"{step.rows} strengths came with a batch of {max(found, whole)} rows",
            remedy="Give one strength, or one for every row.",
        )
    if some:
        step = step.chosen(rows)
    return step.repeated(times) if times > 1 else step


def path_to(network: nn.Module, name: str) -> list[nn.Module]:
    """Return the modules on the path to a named module, from the network to the module itself.

    Names are those of the network before it was compiled.

    Raises:
        UserError: there is no module of this name; the message names the closest matches.
    """
    path = [inside(network)]
    try:
        # get_submodule is slow in diffusers, whose __getattr__ consults the configuration.
        for part in name.split("."):
            path.append(inside(_children(path[-1])[part]))
    except KeyError:
        names = [name for name, _ in named_modules(network)]
        close = difflib.get_close_matches(name, names, n=3, cutoff=0.3)
        raise UserError(
            "E_MODEL",
            f"this network has no module {name!r}",
            remedy=f"Load the model that the map was learnt on (closest: {', '.join(close)}).",
        ) from None
    return path


def _children(module: Any) -> dict[str, nn.Module]:
    return module._modules if module is not None else {}
