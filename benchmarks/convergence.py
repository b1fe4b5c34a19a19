"""R9: how many steps until new prompts are as close as the paper's settings bring them.

On the embedded language models the paper's settings have no such distance: their plain loss
explodes at the first step (see the table `optimisers`), so only the picture model is compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from benchmarks.ratio import Ratio
from lineas_core import PromptSet, load_model
from lineas_core.config import BUDGETS, LearnConfig
from lineas_core.learn import Iterate, learn_iter
from lineas_core.models.base import SteerableModel
from lineas_core.tables.workbench import PROMPTS

__all__ = ["ratios"]

_MODEL, _PROMPTS = "emoji-world", ("robot", "vaporwave")
_ITERATIONS = {False: 1000, True: 50}  # of the paper's settings; fewer for a single pair


def ratios(pairs: int) -> Iterator[Ratio]:
    """Iterations, and prompts that went through the network, of the paper's settings ÷ ours."""
    model = load_model(_MODEL)
    iterations = _ITERATIONS[pairs == 1]
    paper = replace(BUDGETS["paper (DMD2)"], iterations=iterations, heldout_every=iterations)
    ours = replace(BUDGETS["quick"], heldout_every=1)
    for name in _PROMPTS:
        data = PromptSet.load(PROMPTS / "images" / f"{name}.json")
        *_, last = _run(model, data, paper)
        bar = last.heldout
        reached = (it for it in _run(model, data, ours) if it.heldout <= bar)
        first = next(reached, None)
        if first is None:
            raise SystemExit(f"R9 on {name}: our settings never come to {bar:.3f}")
        title = f"{last.iteration} steps of the paper's ÷ ours to a distance of {bar:.3f}, {name}"
        yield _counted(f"R9 {title}", last.iteration, first.iteration, "steps", 10, 3)
        batch = paper.batch_size or len(data.source)
        seen = last.iteration * batch, first.iteration * len(data.source)
        yield _counted(f"R9 the same in prompts, {name}", *seen, "prompts")


def _run(model: SteerableModel, data: PromptSet, config: LearnConfig) -> Iterator[Iterate]:
    heldout = data.heldout_source, data.heldout_target
    return learn_iter(model, data.source, data.target, config=config, heldout=heldout)


def _counted(
    name: str,
    other: int,
    own: int,
    unit: str,
    goal: float | None = None,
    least: float | None = None,
) -> Ratio:
    """A ratio of two counts, which do not vary."""
    ratio = other / max(own, 1)
    return Ratio(name, ratio, ratio, ratio, other, own, unit=unit, goal=goal, least=least)
