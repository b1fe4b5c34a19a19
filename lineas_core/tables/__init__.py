"""The paper's tables and figures, each made by one command (LinEAS, sections 4 and B to N)."""

from lineas_core.tables import pictures, prose, similarity, text, timing, truth
from lineas_core.tables.table import EDITIONS, Cell, Table, cells_done, make, page, stem_of

__all__ = ["EDITIONS", "TABLES", "Cell", "Table", "cells_done", "make", "page", "stem_of"]

_ROOMS = (pictures, text, prose, truth, similarity, timing)
TABLES = {table.name: table for room in _ROOMS for table in room.TABLES}
"""Name -> table, in the order in which they are shown."""
