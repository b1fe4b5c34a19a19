"""R3, R6 and R7: cost of steering while a model generates, and of a move of the slider.

Maps are composed and folded before the timing starts, except in R7, which measures just that, and
in the single runs of R6, each of which needs its own map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from copy import copy, deepcopy
from functools import partial
from itertools import cycle
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import torch
from torch import Tensor

from benchmarks.ratio import Ratio, alone, apart, gate, side_by_side
from benchmarks.workloads import PROMPT, Workload, drawn, workloads
from lineas_core import SteeringMaps, compose, fold, load_maps, save_maps, steer

__all__ = ["generation", "slider", "strip"]

_STRIP = [k / 4 for k in range(-4, 5)]
_CONCEPTS = 8
_FINE = 5  # factor on the number of pairs, for bounds of half a percent and times of milliseconds
_TOLERANCE = 1e-3  # relative difference of the change in the output, in float32
_SDXL_WIDTHS = {f"norm.{number}": 1149 for number in range(256)}  # 294,144 coordinates
_T = TypeVar("_T")


def generation(pairs: int) -> Iterator[Ratio]:
    """Measure R3: folded ÷ plain, for one concept and for several, and the same with hooks.

    Hooks are nested, one `steer` for each concept, as one would write it without `compose`.
    """
    for work in workloads("picture", "prefill", "decode"):
        for count in (1, _CONCEPTS):
            maps, strengths = work.maps(count), [1 / count] * count
            folded, hooked = _twin(work.model), _twin(work.model)
            with ExitStack() as stack:
                stack.enter_context(fold(folded.network, compose(maps, strengths)))
                for concept, strength in zip(maps, strengths, strict=True):
                    stack.enter_context(steer(hooked.network, concept, strength))
                title = f"R3 folded ÷ plain, concepts: {count}, {work.title}"
                plain, own, other = (work.output(m, 1) for m in (work.model, folded, hooked))
                difference = gate(title, apart(own - plain, other - plain), _TOLERANCE)
                yield side_by_side(
                    title,
                    partial(work.run, folded, 1),
                    partial(work.run, work.model, 1),
                    goal=1.005,
                    least=1.02,
                    difference=difference,
                    pairs=pairs * _FINE,
                    smaller_is_better=True,
                )
                yield side_by_side(
                    title.replace("folded", "hooked"),
                    partial(work.run, hooked, 1),
                    partial(work.run, work.model, 1),
                    difference=difference,
                    pairs=pairs,
                )


def strip(pairs: int) -> Iterator[Ratio]:
    """Measure R6: nine strengths one by one ÷ in a batch, and a batch of nine maps ÷ plain."""
    rows = len(_STRIP)
    for work in workloads("picture", "decode"):
        maps = work.maps(rows)
        alike, strengths = [maps[0]] * rows, maps[0].at(_STRIP)
        title = f"R6 nine strengths one by one ÷ in one batch, {work.title}"
        yield side_by_side(
            title,
            partial(_one_by_one, work, work.run, alike),
            partial(_together, work, work.run, strengths),
            goal=6,
            least=5,
            difference=_rows_agree(title, work, alike, strengths),
            pairs=pairs,
        )
        # Row k applies map k at the k-th strength and the other maps at 0.
        mixed = compose(maps, torch.diag(torch.tensor(_STRIP)).tolist())
        title = f"R6 batch of nine maps and strengths ÷ plain batch, {work.title}"
        yield side_by_side(
            title,
            partial(_together, work, work.run, mixed),
            partial(work.run, work.model, rows),
            goal=1.03,
            least=1.10,
            difference=_rows_agree(title, work, maps, mixed),
            pairs=pairs,
            smaller_is_better=True,
        )


def slider(pairs: int) -> Iterator[Ratio]:
    """Measure R7: a move of the slider, up to the forward pass, ÷ that pass; loading a map."""
    for work in workloads("picture", "prefill"):
        model, (maps,) = work.model, work.maps(1)
        move = partial(_move, model, maps, cycle(filter(None, _STRIP)))  # nothing is folded at 0
        forward = torch.no_grad()(partial(model.forward, model.encode([PROMPT])))
        title = f"R7 move of the slider ÷ one forward, {model.name}"
        plain = forward()
        for _ in _STRIP:
            move()
        if not torch.equal(forward(), plain):
            raise SystemExit(f"{title}: the weights of the network were not restored")
        with fold(model.network, maps, -1):
            own = forward()
        with steer(model.network, maps, -1):
            other = forward()
        yield side_by_side(
            title,
            move,
            forward,
            goal=0.01,
            least=0.10,
            difference=gate(title, apart(own - plain, other - plain), _TOLERANCE),
            pairs=_FINE * pairs,
            smaller_is_better=True,
        )
    yield _loading(_FINE * pairs)


def _move(model: Any, maps: SteeringMaps, positions: Iterator[float]) -> None:
    with fold(model.network, maps, next(positions)):
        pass


def _loading(times: int) -> Ratio:
    maps = drawn(_SDXL_WIDTHS, seed=0)
    with TemporaryDirectory() as folder:
        save_maps(maps, folder)
        loaded = load_maps(folder)
        title = "R7 loading and validating a map of 2.35 MB, in ms"
        for name, step in maps.items():
            gate(title, apart(loaded[name].scale, step.scale), 0)
            gate(title, apart(loaded[name].shift, step.shift), 0)
        return alone(title, partial(load_maps, folder), goal=20, least=50, times=times)


def _twin(model: Any) -> Any:
    """Copy a model, sharing its weights, so that the copy can be steered independently."""
    twin = copy(model)
    twin.network = deepcopy(model.network, {id(p): p for p in model.network.parameters()})
    return twin


_Way = Callable[[Any, int], _T]


def _one_by_one(work: Workload, way: _Way[_T], maps: Sequence[SteeringMaps]) -> list[_T]:
    """Run once for each strength of the strip, each with its own map."""
    made = []
    for each, strength in zip(maps, _STRIP, strict=True):
        with fold(work.model.network, each, strength):
            made.append(way(work.model, 1))
    return made


def _together(work: Workload, way: _Way[_T], maps: SteeringMaps) -> _T:
    """Run all strengths in one batch; the maps have a row for each."""
    with steer(work.model.network, maps):
        return way(work.model, len(_STRIP))


def _rows_agree(
    title: str, work: Workload, maps: Sequence[SteeringMaps], together: SteeringMaps
) -> float:
    plain: Tensor = work.output(work.model, len(_STRIP))
    other = torch.cat(_one_by_one(work, work.output, maps))
    own = _together(work, work.output, together)
    return gate(title, apart(own - plain, other - plain), _TOLERANCE)
