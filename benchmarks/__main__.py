"""Measure all ratios, print a table, write JSON.

python -m benchmarks [--quick] [--only R3,R7] [--json results/benchmarks.json]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from benchmarks import convergence, fitting, inference, memory, step
from benchmarks.ratio import Ratio

_PAIRS = {False: 7, True: 1}
_RATIOS: dict[str, Callable[[int], Iterator[Ratio]]] = {
    "R1": step.naive,
    "R2": step.bound,
    "R3": inference.generation,
    "R4": fitting.sequential,
    "R5": fitting.from_activations,
    "R6": inference.strip,
    "R7": inference.slider,
    "R8": memory.ratios,
    "R9": convergence.ratios,
}


def main() -> None:
    """One line for each ratio as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one pair each: does it run?")
    parser.add_argument("--only", default=",".join(_RATIOS), help="some of them, such as R3,R7")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks.json"))
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(_RATIOS):
        parser.error(f"--only has {', '.join(sorted(unknown))}; there are {', '.join(_RATIOS)}")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| ratio | measured | 95 % | goal | at least | verdict | other and ours | difference |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for name in wanted:
        for made in _RATIOS[name](_PAIRS[options.quick]):
            rows.append(made.row())
            print(_line(made), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(rows, indent=1))


def _line(made: Ratio) -> str:
    goal, least = ("" if bound is None else f"{bound:.4g}" for bound in (made.goal, made.least))
    amounts = " and ".join(f"{x:.3g}" for x in (made.other, made.own) if x is not None)
    return (
        f"| {made.name} | {made.ratio:.4g} | {made.low:.4g} to {made.high:.4g} | {goal} | {least} "
        f"| {made.verdict} | {amounts} {made.unit} | {made.difference:.0e} |"
    )


if __name__ == "__main__":
    main()
