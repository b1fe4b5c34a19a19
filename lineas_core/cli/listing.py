"""Commands that list what other commands take by name: ready-made maps, and models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import typer

from lineas_core.cli.arguments import JsonLines
from lineas_core.cli.formats import format_columns, json_line
from lineas_core.errors import UserError
from lineas_core.models import installed
from lineas_core.models.catalog import MODELS
from lineas_core.storage.maps import read_metadata
from lineas_core.storage.places import ready_made

__all__ = ["list_maps", "list_models"]


def list_maps(json_lines: JsonLines = False) -> None:
    """List the ready-made maps: the name that --map takes, title, model and kind of model.

    Maps that you learn have the path of their folder.
    """
    _print([*_ready_made()], json_lines=json_lines)


def list_models(json_lines: JsonLines = False) -> None:
    """List the models of the catalog: name, title, kind, size, and whether it is installed.

    `lineas fetch NAME` installs one. Other models are given by a folder or an id of the hub.
    """
    rows = [
        {
            "name": name,
            "title": entry.title,
            "kind": entry.kind,
            "parameters": round(entry.parameters * 1e9),
            "download_gb": entry.embedded.download_mb / 1e3
            if entry.embedded
            else entry.download_gb,
            "installed": installed(name),
        }
        for name, entry in MODELS.items()
    ]
    if not json_lines:
        rows = [_readable(row) for row in rows]
    _print(rows, json_lines=json_lines)


def _ready_made() -> Iterator[dict[str, Any]]:
    for folder in ready_made():
        try:
            facts = read_metadata(folder)
        except UserError as error:
            typer.echo(f"note: {error}", err=True)
            continue
        names = ("title", "model", "kind")
        yield {"name": folder.name, **{name: facts.get(name) for name in names}}


def _readable(row: dict[str, Any]) -> dict[str, Any]:
    size, download = f"{row['parameters'] / 1e9:g} billion parameters", row["download_gb"]
    state = "installed" if row["installed"] else f"not installed, {download:g} GB"
    return {**{name: row[name] for name in ("name", "title", "kind")}, "size": size, "": state}


def _print(rows: Sequence[dict[str, Any]], *, json_lines: bool) -> None:
    for line in map(json_line, rows) if json_lines else format_columns(rows):
        typer.echo(line)
