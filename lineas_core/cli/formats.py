"""The lines that the commands print: JSON, or text for people."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["format_columns", "format_result", "format_row", "json_line"]


def json_line(row: Mapping[str, Any]) -> str:
    """Format a row as one line of JSON; NaN, which JSON does not have, becomes null.

    Characters that the standard output cannot encode are escaped.
    """
    known = _without_nan(row)
    line = json.dumps(known, ensure_ascii=False)
    try:
        line.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return json.dumps(known)
    return line


def format_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Format rows with the same keys as lines with one column for each key."""
    cells = [[str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def format_result(facts: Mapping[str, Any]) -> str:
    """Format a generated text with its prompt, or the path of a picture."""
    label = f"λ {', '.join(map(_strength, facts['strengths']))}  " if "factor" in facts else ""
    return facts.get("file") or f"{label}{facts['prompt']}{facts['text']}"


def format_row(row: Mapping[str, Any]) -> str:
    """Format a row of a sweep over texts or over pictures."""
    strength = f"λ {_strength(row['strength']):<5}"
    if "pictures" in row:
        sides = "  ".join(f"{side} {_scores(row[side])}" for side in ("with", "without"))
        removal = _removal(row["removal"]) if "removal" in row else ""
        return f"{strength}  {removal}concept {sides}  ({row['pictures']} pictures)"
    shares = "  ".join(
        f"{name} {share['share']:6.1%} ± {share['spread']:5.1%}"
        for name, share in row["by"].items()
    )
    return (
        f"{strength}  {shares}"
        f"  perplexity {row['perplexity']:6.1f}  repeated {row['repetition']:4.0%}"
        f"  ({row['texts']} texts)"
    )


def _strength(value: float) -> str:
    return f"{value:+g}"


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_nan(v) for k, v in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _removal(removal: Mapping[str, float | None]) -> str:
    moved = f"moved {_of_255(removal['moved'])}"
    if "way" in removal:
        return f"way {_number(removal['way'])}  astray {_number(removal['astray'])}  {moved}  "
    return (
        f"left {_number(removal['left'])}  visible {removal['visible']}/{removal['shown']}"
        f"  rest {_of_255(removal['cast'])}  {moved}  "
    )


def _number(value: float | None) -> str:
    return "    -" if value is None else f"{value:5.2f}"


def _of_255(value: float | None) -> str:
    return "    -" if value is None else f"{value / 255:5.1%}"


def _scores(scores: Mapping[str, float | None]) -> str:
    concept = "-" if scores["concept"] is None else f"{scores['concept']:5.2f}"
    return f"{concept}  ImgScore {scores['image']:5.2f}"
