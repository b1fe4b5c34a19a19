"""The paper's tables and figures, each made by one command (LinEAS, sections 4 and B to N)."""

from lineas_core.tables import pictures, text, timing
from lineas_core.tables.table import EDITIONS, Cell, Table, cells_done, make, page

__all__ = ["EDITIONS", "TABLES", "Cell", "Table", "cells_done", "make", "page"]

TABLES = {table.name: table for table in (*text.TABLES, *pictures.TABLES, *timing.TABLES)}
"""Name -> table."""
