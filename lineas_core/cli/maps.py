"""Commands that describe and export learnt maps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lineas_core.cli.arguments import MapFolder, load_map_and_model
from lineas_core.storage.lycoris import export_norms
from lineas_core.storage.maps import load_maps

__all__ = ["export", "info"]


def info(path: Path) -> None:
    """Print a map's metadata as JSON."""
    maps = load_maps(path)
    properties = {
        "support": maps.support,
        "not_invertible": maps.not_invertible,
        "reflected": maps.reflected,
    }
    typer.echo(json.dumps({**maps.metadata, **properties}, indent=2))


def export(
    map: MapFolder,
    output_dir: Annotated[Path, typer.Option(help="Folder for the files.")] = Path(),
) -> None:
    """Export a map as LyCORIS files for ComfyUI and A1111, one of them for its inverse."""
    maps, model = load_map_and_model(map)
    for file in export_norms(maps, model, output_dir, map.resolve().name):
        typer.echo(str(file))
