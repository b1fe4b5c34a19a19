"""Measure all ratios, print them as a table and write them to a JSON file.

python -m benchmarks [--quick] [--only R3,R7] [--json results/benchmarks.json]
python -m benchmarks peers ...      is `python -m benchmarks.peers ...`, as for every other file
"""

from __future__ import annotations

import runpy
import sys
from collections.abc import Callable, Iterator

from benchmarks import convergence, fitting, inference, memory, step
from benchmarks.ratio import Ratio
from benchmarks.report import report

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
    """Print each ratio as soon as it has been measured."""
    heads = [
        "ratio",
        "measured",
        "95%",
        "goal",
        "at least",
        "verdict",
        "other and ours",
        "difference",
    ]
    report(
        str(__doc__).split("\n")[0],
        _RATIOS,
        heads,
        _line,
        Ratio.row,
        file="results/benchmarks.json",
    )


def _line(made: Ratio) -> str:
    goal, least = ("" if bound is None else f"{bound:.4g}" for bound in (made.goal, made.least))
    amounts = " and ".join(f"{x:.3g}" for x in (made.other, made.own) if x is not None)
    return (
        f"| {made.name} | {made.ratio:.4g} | {made.low:.4g} to {made.high:.4g} | {goal} | {least} "
        f"| {made.verdict} | {amounts} {made.unit} | {made.difference:.0e} |"
    )


if __name__ == "__main__":
    if sys.argv[1:] and sys.argv[1].isidentifier():
        runpy.run_module(f"benchmarks.{sys.argv.pop(1)}", run_name="__main__")
    else:
        main()
