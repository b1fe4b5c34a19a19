"""What a figure shows: quantities of the rows of a table, each in a panel of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["STRENGTH", "Axis", "Panels"]

Panels = Mapping[str, Callable[[Mapping[str, Any]], float | None]]
"""Name of a quantity -> function from a row to its value, None if the row has none."""
Axis = tuple[str, Callable[[Mapping[str, Any]], float]]
"""Name of what panels show quantities over, and function from a row to its value."""
STRENGTH: Axis = ("λ", lambda row: row["strength"])
