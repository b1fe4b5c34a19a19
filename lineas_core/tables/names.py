"""The names of methods and models on the pages; keys of cells have those of the command line.

Keys never change, because a cell that is done is found again by its key.
"""

from __future__ import annotations

from collections.abc import Mapping

from lineas_core.methods import METHODS
from lineas_core.models import title_of

__all__ = ["PAPER_LOSS", "name_of", "shown_key"]

PAPER_LOSS = "lineas, activations"
"""Key of LinEAS with the loss of the paper where a model has another one."""
_VARIANTS = {PAPER_LOSS: "LinEAS, loss of the paper", "lineas, normal": "LinEAS, normal budget"}


def name_of(line: str) -> str:
    """Return the name of a line: of "lin-act, own layers" it is "Lin-AcT, own layers"."""
    method, *rest = line.split(", ")
    label = METHODS[method].label if method in METHODS else method
    return _VARIANTS.get(line, ", ".join([label, *rest]))


def shown_key(key: Mapping[str, str]) -> dict[str, str]:
    """Return the key of a cell with the names of its method and its model."""
    names = {"method": name_of, "model": title_of}
    return {part: names[part](text) if part in names else text for part, text in key.items()}
