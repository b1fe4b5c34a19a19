"""How cost grows with size: time for a series of sizes, and the slope of the curve.

    python -m benchmarks.growth [--quick] [--only prompts,modules]

The slope is the least-squares slope of log time over log size: 1 is proportional, 0 is constant.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median

import torch

from benchmarks.naive import PLAIN, own_step
from benchmarks.ratio import interleaved
from benchmarks.report import report
from benchmarks.workloads import Workload, workloads
from lineas_core import PromptSet, SteeringMaps, compose, fold, load_model
from lineas_core.learning.problem import Problem
from lineas_core.learning.wasserstein import wasserstein_1d
from lineas_core.models.base import SteerableModel
from lineas_core.tables.workbench import PROMPTS

_PICTURES, _TEXTS = "emoji-world", "smollm2-135m"
_PROMPTS = (4, 8, 16, 32)
_PARTS = (8, 4, 2, 1)  # take every 8th, 4th, 2nd module, or all
_WORDS = (8, 16, 32, 64, 128)
_WIDTHS = (1_000, 10_000, 100_000, 300_000)
_CONCEPTS = (1, 2, 4, 8, 16)
_THREADS = (1, 2, 4, 8)
_ROWS = 32


@dataclass(frozen=True)
class Curve:
    """Times over a series of sizes.

    Attributes:
        name: what is timed, and which size grows.
        sizes: in ascending order.
        seconds: median time for each size.
    """

    name: str
    sizes: list[int]
    seconds: list[float]

    @property
    def slope(self) -> float:
        """Least-squares slope of log seconds over log sizes."""
        x, y = (torch.tensor(v, dtype=torch.float64).log() for v in (self.sizes, self.seconds))
        x = x - x.mean()
        return ((x @ (y - y.mean())) / (x @ x)).item()


def prompts(times: int) -> Iterator[Curve]:
    """Time a training step over the number of prompts on each side."""
    for name, file in ((_PICTURES, "images/vaporwave"), (_TEXTS, "football")):
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{file}.json")
        steps = {
            n: own_step(Problem(model, data.source[:n], data.target[:n], PLAIN, None))
            for n in _PROMPTS
        }
        yield _curve(f"step, prompts a side, {name}", steps, times)


def modules(times: int) -> Iterator[Curve]:
    """Time a training step over the number of steered modules, always including the last one."""
    for name, file in ((_PICTURES, "images/vaporwave"), (_TEXTS, "football")):
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{file}.json")
        # Counted from the last module, so that forward and backward passes stay about as long.
        chosen = [model.default_modules[::-1][::part][::-1] for part in _PARTS]
        steps = {
            len(names): own_step(Problem(model, data.source, data.target, PLAIN, names))
            for names in chosen
        }
        yield _curve(f"step, modules, {name}", steps, times)


def length(times: int) -> Iterator[Curve]:
    """Time a training step over the number of tokens in a prompt."""
    model, data = load_model(_TEXTS), PromptSet.load(PROMPTS / "football.json")
    steps = {}
    for words in _WORDS:
        sides = [[f"{text} " * words for text in side[:8]] for side in (data.source, data.target)]
        source, target = ([" ".join(text.split()[:words]) for text in side] for side in sides)
        problem = Problem(model, source, target, PLAIN, None)
        steps[problem.samples.source.arguments["input_ids"].shape[1]] = own_step(problem)
    yield _curve(f"step, tokens a prompt, {_TEXTS}", steps, times)


def width(times: int) -> Iterator[Curve]:
    """Time loss and gradient over the total number of coordinates."""
    generator = torch.Generator().manual_seed(0)
    works = {}
    for coordinates in _WIDTHS:
        x, y = torch.randn(2, _ROWS, coordinates, generator=generator)
        works[coordinates] = partial(_loss, x.requires_grad_(), y)
    yield _curve(f"loss and gradient, coordinates, {_ROWS} prompts a side", works, times)


def concepts(times: int) -> Iterator[Curve]:
    """Time composing and folding, without and with a generation, over the number of concepts."""
    for work in workloads("picture", "prefill"):
        maps = work.maps(max(_CONCEPTS))
        moves = {k: partial(_move, work.model, maps[:k]) for k in _CONCEPTS}
        yield _curve(f"compose and fold, concepts, {work.title}", moves, times)
        runs = {k: partial(_steered, work, maps[:k]) for k in _CONCEPTS}
        yield _curve(f"compose, fold and generate, concepts, {work.title}", runs, times)


def threads(times: int) -> Iterator[Curve]:
    """Time a training step, and a generation, over the number of threads; slope -1 is ideal."""
    before = torch.get_num_threads()
    counts = [n for n in _THREADS if n <= (os.cpu_count() or 1)]
    for name, file in ((_PICTURES, "images/vaporwave"), (_TEXTS, "football")):
        model, data = load_model(name), PromptSet.load(PROMPTS / f"{file}.json")
        step = own_step(Problem(model, data.source, data.target, PLAIN, None))
        yield _curve(f"step, threads, {name}", {n: partial(_with, n, step) for n in counts}, times)
    for work in workloads("picture", "decode"):
        runs = {n: partial(_with, n, partial(work.run, work.model, 1)) for n in counts}
        yield _curve(f"generate, threads, {work.title}", runs, times)
    torch.set_num_threads(before)


CURVES: dict[str, Callable[[int], Iterator[Curve]]] = {
    "prompts": prompts,
    "modules": modules,
    "length": length,
    "width": width,
    "concepts": concepts,
    "threads": threads,
}


def main() -> None:
    """Print each curve as soon as it has been measured."""
    report(
        str(__doc__).split("\n")[0],
        CURVES,
        ["what is timed, what grows", "sizes", "milliseconds", "slope"],
        _line,
        lambda made: asdict(made) | {"slope": made.slope},
        file="results/growth.json",
    )


def _curve(name: str, works: Mapping[int, Callable[[], object]], times: int) -> Curve:
    works = dict(sorted(works.items()))
    taken = interleaved(list(works.values()), times)
    return Curve(name, list(works), [median(seconds) for seconds in taken])


def _loss(x: torch.Tensor, y: torch.Tensor) -> None:
    torch.autograd.grad(wasserstein_1d(x, y).sum(), x)


def _with(threads: int, work: Callable[[], object]) -> None:
    torch.set_num_threads(threads)
    work()


def _move(model: SteerableModel, maps: list[SteeringMaps]) -> None:
    with fold(model.network, compose(maps, [1 / len(maps)] * len(maps))):
        pass


def _steered(work: Workload, maps: list[SteeringMaps]) -> None:
    with fold(work.model.network, compose(maps, [1 / len(maps)] * len(maps))):
        work.run(work.model, 1)


def _line(made: Curve) -> str:
    sizes, taken = (
        ", ".join(f"{value:,.{digits}g}" if digits else f"{value:,}" for value in values)
        for values, digits in ((made.sizes, 0), ([1000 * s for s in made.seconds], 3))
    )
    return f"| {made.name} | {sizes} | {taken} | {made.slope:.2f} |"


if __name__ == "__main__":
    main()
