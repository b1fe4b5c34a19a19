"""What the commands that measure share: their options, and lines as soon as they are known."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import torch

__all__ = ["report"]

_TIMES = {False: 7, True: 1}  # by --quick
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
    """Read the options, print a table of Markdown line by line, write JSON.

    Args:
        about: one sentence for `--help`.
        parts: name -> (how often to measure) -> results.
        heads: of the columns.
        line: a result as a line of the table.
        row: a result for JSON.
        file: where the JSON goes unless told otherwise.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="once each: does it run?")
    parser.add_argument("--only", default=",".join(parts), help="some parts, with commas between")
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
