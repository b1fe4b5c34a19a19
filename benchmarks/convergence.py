"""R9: steps that our settings need to reach the held-out distance of the paper's settings.

    python -m benchmarks.convergence [--quick] [--json results/convergence.json]

The command changes the paper's settings to ours one by one, and draws the held-out distance of
each over the steps into `convergence.svg` beside the JSON file.

Only the picture model is compared: on the embedded language models the paper's plain loss diverges
at the first step (see the table `optimisers`).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
from matplotlib.figure import Figure

from benchmarks.ratio import Ratio
from lineas_core import PromptSet, SteeringMaps, load_model
from lineas_core.evaluation.pictures import sweep_pictures
from lineas_core.learning.config import BUDGETS, LearnConfig
from lineas_core.learning.lineas import Iterate, learn_iter
from lineas_core.learning.problem import Problem
from lineas_core.methods import METHODS
from lineas_core.models import TextToImageModel
from lineas_core.tables.workbench import PROMPTS, lines_of

__all__ = ["ratios", "warm_start"]

_MODEL, _PROMPTS = "emoji-world", ("robot", "vaporwave")
_ITERATIONS = {False: 1000, True: 50}  # of the paper's settings, by `pairs == 1`
_SCENES = 16
_PAPER, _OURS = BUDGETS["paper (DMD2)"], BUDGETS["quick"]


def ratios(pairs: int) -> Iterator[Ratio]:
    """Measure R9 in iterations, and in prompts that pass through the network.

    Args:
        pairs: 1 for a quick check with fewer iterations; other values make no difference.
    """
    model = load_model(_MODEL)
    iterations = _ITERATIONS[pairs == 1]
    paper = replace(_PAPER, iterations=iterations, heldout_every=iterations)
    for name in _PROMPTS:
        data = _prompts(name)
        *_, last = _run(model, data, paper)
        bar = last.heldout
        ours = _run(model, data, replace(_OURS, heldout_every=1))
        first = next((it for it in ours if it.heldout <= bar), None)
        if first is None:
            raise SystemExit(f"R9 on {name}: our settings do not reach {bar:.3f}")
        left = [f"{_effect(model, it.maps, data)[0]:.2f}" for it in (last, first)]
        title = (
            f"steps of the paper's settings ÷ ours to a held-out distance of {bar:.3f}, {name}, "
            f"ConceptScore {' and '.join(left)}"
        )
        yield _counted(f"R9 {title}", last.iteration, first.iteration, "steps", 10, 3)
        batch = paper.batch_size or len(data.source)
        seen = last.iteration * batch, first.iteration * len(data.source)
        yield _counted(f"R9 the same in prompts, {name}", *seen, "prompts")


def warm_start(
    model: TextToImageModel, data: PromptSet, config: LearnConfig
) -> dict[str, torch.Tensor]:
    """Make a state from which `learn_iter` resumes, with Lin-AcT's maps as initial maps.

    Returns:
        The state before the first iteration, its `parameters` (2, D) set to Lin-AcT's maps.
    """
    problem = Problem(model, data.source, data.target, config, None)
    alpha, shift = _joined(METHODS["lin-act"].learn(model, data.source, data.target))
    alpha -= 1
    # Shifts are linear in both rows of the parameters, so two evaluations give their units.
    none, one = torch.zeros_like(alpha), torch.ones_like(alpha)
    _, moved = _joined(problem.maps(torch.stack([alpha, none])))
    _, unit = _joined(problem.maps(torch.stack([none, one])))
    state = next(learn_iter(model, data.source, data.target, config=config)).state
    return state | {"parameters": torch.stack([alpha, (shift - moved) / unit])}


def main() -> None:
    """Print a line for each setting, then write the JSON file and draw the curves."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="run only a few steps")
    parser.add_argument("--json", type=Path, default=Path("results/convergence.json"))
    options = parser.parse_args()
    model, data = load_model(_MODEL), _prompts(_PROMPTS[-1])
    long, short = (20, 4) if options.quick else (1000, _OURS.iterations)
    own = replace(_OURS, iterations=short, heldout_every=1)
    small = replace(_PAPER, iterations=long, heldout_every=max(long // 100, 1))
    ways = {
        "the paper's settings": small,
        "loss in units of spread": replace(small, standardise=True, iterations=short * 4),
        "and batches of all prompts": replace(own, optimizer="adamw", learning_rate=1e-4),
        "and Adam at 0.02: ours": own,
        "ours, started from Lin-AcT": own,
    }
    print("| settings | steps | distance | loss | ConceptScore | ImgScore without the concept |")
    print("|---" * 6 + "|")
    rows = []
    for name, config in ways.items():
        state = warm_start(model, data, config) if name.endswith("Lin-AcT") else None
        curve = []
        for last in _run(model, data, config, state):
            if last.heldout is not None:
                curve.append((last.iteration, last.heldout))
        score, kept = _effect(model, last.maps, data)
        facts = {"loss": last.loss, "concept": score, "kept": kept}
        rows.append({"settings": name, "curve": curve, **facts})
        print(
            f"| {name} | {last.iteration} | {curve[0][1]:.3f} to {last.heldout:.3f} "
            f"| {last.loss:.3g} | {score:.2f} | {kept:.2f} |",
            flush=True,
        )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(rows, indent=1))
    _draw(rows).savefig(options.json.with_suffix(".svg"))


def _joined(maps: SteeringMaps) -> tuple[torch.Tensor, torch.Tensor]:
    """Concatenate scales, and shifts, of all modules in the order of execution: (D,) each."""
    scales, shifts = zip(*((m.scale, m.shift) for m in maps.values()), strict=True)
    return torch.cat(scales), torch.cat(shifts)


def _prompts(name: str) -> PromptSet:
    return PromptSet.load(PROMPTS / "images" / f"{name}.json")


def _run(
    model: TextToImageModel,
    data: PromptSet,
    config: LearnConfig,
    state: dict[str, torch.Tensor] | None = None,
) -> Iterator[Iterate]:
    heldout = data.heldout_source, data.heldout_target
    return learn_iter(
        model, data.source, data.target, config=config, heldout=heldout, resume=state
    )


def _effect(model: TextToImageModel, maps: SteeringMaps, data: PromptSet) -> tuple[float, float]:
    """Measure the effect of the maps on pictures at λ = 1.

    Returns:
        ConceptScore of pictures with the concept in the prompt, and ImgScore of pictures without.
    """
    named = SteeringMaps(maps.maps, {**maps.metadata, "keywords": list(data.keywords)})
    scenes = lines_of("neutral-images.txt")[:_SCENES]
    (row,) = sweep_pictures(model, named, scenes, strengths=[1.0])
    return row["with"]["concept"], row["without"]["image"]


def _draw(rows: list[dict]) -> Figure:
    figure = Figure(figsize=(6, 3.6), layout="constrained")
    axis = figure.subplots()
    for row in rows:
        # 0 has no logarithm, so the identity is drawn at half a step.
        steps, distances = zip(*row["curve"], strict=True)
        axis.plot([max(step, 0.5) for step in steps], distances, label=row["settings"])
    axis.set(xscale="log", xlabel="optimiser steps", ylabel="held-out distance")
    axis.spines[["top", "right"]].set_visible(False)
    axis.grid(alpha=0.25)
    axis.legend(fontsize=8, frameon=False)
    return figure


def _counted(
    name: str,
    other: int,
    own: int,
    unit: str,
    goal: float | None = None,
    least: float | None = None,
) -> Ratio:
    """Make a ratio of two counts, which have no spread."""
    ratio = other / max(own, 1)
    return Ratio(name, ratio, ratio, ratio, other, own, unit=unit, goal=goal, least=least)


if __name__ == "__main__":
    main()
