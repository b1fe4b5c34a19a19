"""The common part of the benchmark commands: options, a table on stdout, and a JSON file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

__all__ = ["report"]

_TIMES = {False: 7, True: 1}  # repetitions, by --quick
_T = TypeVar("_T")


def report(
    about: str,
    parts: Mapping[str, Callable[[int], Iterator[_T]]],
    heads: Sequence[str],
    line: Callable[[_T], str],
    row: Callable[[_T], dict],
    *,
    file: str,
) -> None:
    """Parse the options, print a Markdown table line by line, and write a JSON file.

    Args:
        about: one sentence for `--help`.
        parts: name of a part -> function from the number of repetitions to results.
        heads: column headings.
        line: formats a result as a line of the table.
        row: converts a result for JSON.
        file: default path of the JSON file.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="one repetition of each")
    parser.add_argument("--only", default=",".join(parts), help="parts, separated by commas")
    parser.add_argument("--json", type=Path, default=Path(file))
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(parts):
        parser.error(f"--only has {', '.join(sorted(unknown))}; there are {', '.join(parts)}")
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    rows = []
    for name in wanted:
        for made in parts[name](_TIMES[options.quick]):
            rows.append(row(made))
            print(line(made), flush=True)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(rows, indent=1))
