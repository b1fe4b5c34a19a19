"""R3, R6 and R7: what steering costs while a model generates, and while a slider moves.

Maps are composed and folded before the clock starts, except for R7, which times just that, and
for the single runs of R6, each of which needs its own.
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
_FINE = 5  # times as many pairs, where the bound is half a percent or the work milliseconds
_TOLERANCE = 1e-3  # of what steering changes in the output, in float32
_SDXL_WIDTHS = {f"norm.{number}": 1149 for number in range(256)}  # 294 thousand coordinates
_T = TypeVar("_T")


def generation(pairs: int) -> Iterator[Ratio]:
    """R3: folded ÷ plain, for one concept and for several; beside it the same with hooks.

    Hooks are nested, one layer for each concept, as one would write it without `compose`.
    """
    for work in workloads("picture", "prefill", "decode"):
        for count in (1, _CONCEPTS):
            maps, strengths = work.maps(count), [1 / count] * count
            folded, hooked = _twin(work.model), _twin(work.model)
            with ExitStack() as stack:
                stack.enter_context(fold(folded.network, compose(maps, strengths)))
                for concept, lam in zip(maps, strengths, strict=True):
                    stack.enter_context(steer(hooked.network, concept, lam))
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
    """R6: nine strengths one by one ÷ in one batch; a batch of nine maps ÷ a plain batch."""
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
        # Each map at its own strength in one row, and at 0 in the others.
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
    """R7: a move of the slider until the forward starts ÷ one forward; loading a map."""
    for work in workloads("picture", "prefill"):
        model, (maps,) = work.model, work.maps(1)
        move = partial(_move, model, maps, cycle(filter(None, _STRIP)))  # at 0 nothing is folded
        forward = torch.no_grad()(partial(model.forward, model.encode([PROMPT])))
        title = f"R7 move of the slider ÷ one forward, {model.name}"
        plain = forward()
        for _ in _STRIP:
            move()
        if not torch.equal(forward(), plain):
            raise SystemExit(f"{title}: the network did not come back as it was")
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
    """A second model on the same weights, which can be steered while the first one is not."""
    twin = copy(model)
    twin.network = deepcopy(model.network, {id(p): p for p in model.network.parameters()})
    return twin


_Way = Callable[[Any, int], _T]


def _one_by_one(work: Workload, way: _Way[_T], maps: Sequence[SteeringMaps]) -> list[_T]:
    """A run for every strength of the strip, each with its own map."""
    made = []
    for each, lam in zip(maps, _STRIP, strict=True):
        with fold(work.model.network, each, lam):
            made.append(way(work.model, 1))
    return made


def _together(work: Workload, way: _Way[_T], maps: SteeringMaps) -> _T:
    """The same in one batch, the maps with a row for every strength."""
    with steer(work.model.network, maps):
        return way(work.model, len(_STRIP))


def _rows_agree(
    title: str, work: Workload, maps: Sequence[SteeringMaps], together: SteeringMaps
) -> float:
    plain: Tensor = work.output(work.model, len(_STRIP))
    other = torch.cat(_one_by_one(work, work.output, maps))
    own = _together(work, work.output, together)
    return gate(title, apart(own - plain, other - plain), _TOLERANCE)
