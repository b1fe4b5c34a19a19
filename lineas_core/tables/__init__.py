"""The paper's tables and figures, each made by one command (LinEAS, sections 4 and B to N)."""

from lineas_core.tables import (
    composition,
    frontier,
    optimisers,
    pictures,
    prose,
    similarity,
    timing,
    topics,
    toxicity,
    truth,
)
from lineas_core.tables.cells import Cell, cells_done
from lineas_core.tables.table import DETAILS, EDITIONS, Table, make, page, stem_of

__all__ = [
    "DETAILS",
    "EDITIONS",
    "TABLES",
    "Cell",
    "Table",
    "cells_done",
    "make",
    "page",
    "stem_of",
]

_MODULES = (
    *(pictures, frontier, topics, toxicity, composition, optimisers),
    *(prose, truth, similarity, timing),
)
TABLES = {table.name: table for module in _MODULES for table in module.TABLES}
"""Name -> table, in the order in which the page shows them."""
