"""Measure all ratios, print a table, write JSON.

python -m benchmarks [--quick] [--json results/benchmarks.json]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from benchmarks import step

_PAIRS = {False: 7, True: 1}


def main() -> None:
    """One line for each ratio as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="one pair each: does it run?")
    parser.add_argument("--json", type=Path, default=Path("results/benchmarks.json"))
    options = parser.parse_args()
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| ratio | measured | 95 % | goal | at least | verdict | seconds | difference |")
    print("|---|---|---|---|---|---|---|---|")
    rows = []
    for made in step.ratios(_PAIRS[options.quick]):
        rows.append(made.row())
        print(
            f"| {made.name} | {made.ratio:.2f} | {made.low:.2f} to {made.high:.2f} | {made.goal} "
            f"| {made.least} | {made.verdict} | {made.other_seconds:.3f} and "
            f"{made.own_seconds:.3f} | {made.difference:.0e} |",
            flush=True,
        )
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
