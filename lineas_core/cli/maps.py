"""Commands that describe, export and publish learnt maps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from lineas_core.cli.arguments import (
    MapPlace,
    MapsWithStrengths,
    check_choice,
    check_strengths,
    load_model_of,
    load_noted,
    split_strength,
)
from lineas_core.errors import UserError
from lineas_core.models import LanguageModel
from lineas_core.steering.plausible import recommended_strength
from lineas_core.storage.checkpoint import check_is_new, export_checkpoint
from lineas_core.storage.lycoris import check_exportable, export_norms, reader_note
from lineas_core.storage.maps import load_maps
from lineas_core.storage.places import name_of_maps
from lineas_core.storage.publishing import push_maps

__all__ = ["export", "info", "push"]

_FORMATS = ("lycoris", "checkpoint", "diffusers")


def info(map: MapPlace) -> None:
    """Print a map's metadata as JSON."""
    maps = load_maps(map)
    properties = {
        "support": maps.support,
        "not_invertible": maps.not_invertible,
        "reflected": maps.reflected,
    }
    typer.echo(json.dumps({**maps.metadata, **properties}, indent=2))


def export(
    map: MapPlace,
    to: Annotated[
        str,
        typer.Option(
            help="lycoris: two files for ComfyUI and A1111, for any strength from -1 to 1. "
            "checkpoint: a language model with the map in its weights. diffusers: the UNet "
            "or transformer of a picture model with the map in its weights."
        ),
    ] = "lycoris",
    strength: Annotated[
        list[float] | None,
        typer.Option(
            help="Strength of MAP, then of each --map without :STRENGTH [default: that of the "
            "map's method, usually 1]."
        ),
    ] = None,
    further: MapsWithStrengths = None,
    output_dir: Annotated[Path, typer.Option(help="Folder for the files.")] = Path(),
) -> None:
    """Export a map for other programs, as a patch of a model's weights or a copy of them."""
    if to == "gguf":
        tool = "convert_hf_to_gguf.py of llama.cpp"
        remedy = f"Export --to checkpoint, and convert the folder with {tool}."
        raise UserError("E_FORMAT", "there is no export to GGUF", remedy=remedy)
    check_choice(to, _FORMATS, "--to")
    if to != "lycoris":
        return _export_weights(map, further or [], strength or [], to, output_dir)
    maps = load_noted(map)
    check_exportable(maps)  # before the model is loaded, which takes long
    if strength or further:
        reason = "LyCORIS files hold one map, and the program that loads them sets its strength"
        raise typer.BadParameter(reason, param_hint="--strength, --map")
    model = load_model_of(maps, name_of_maps(map))
    for file in export_norms(maps, model, output_dir, name_of_maps(map)):
        typer.echo(str(file))
    if note := reader_note(model):
        typer.echo(f"note: {note}", err=True)
    return None


def _export_weights(
    map: str, further: Sequence[str], given: Sequence[float], to: str, output_dir: Path
) -> None:
    """Write the model of a map with this and further maps in its weights."""
    split: list[tuple[str, float | None]] = [(map, None), *(split_strength(t) for t in further)]
    filled = _filled([own for _, own in split], given)
    maps = [load_noted(place) for place, _ in split]
    strengths = [
        recommended_strength(each.metadata) if own is None else own
        for each, own in zip(maps, filled, strict=True)
    ]
    check_strengths(strengths)
    names = [name_of_maps(place) for place, _ in split]
    name = "-".join(f"{name}-{own:g}" for name, own in zip(names, strengths, strict=True))
    check_is_new(output_dir / name)  # before the model is loaded, which takes long
    model = load_model_of(maps[0], names[0])
    if to != (needed := "checkpoint" if isinstance(model, LanguageModel) else "diffusers"):
        reason = f"a map of {model.name} is written with --to {needed}"
        raise typer.BadParameter(reason, param_hint="--to")
    proof = export_checkpoint(maps, strengths, model, output_dir / name)
    typer.echo(str(output_dir / name))
    typer.echo(str(proof), err=True)


def _filled(own: Sequence[float | None], given: Sequence[float]) -> list[float | None]:
    """Return the strengths of maps, with the given ones for those that have none of their own."""
    lacking = own.count(None)
    if given and len(given) != lacking:
        reason = f"{len(given)} came for {lacking} {'maps' if lacking > 1 else 'map'}"
        if lacking < len(own):
            reason += " (a --map with :STRENGTH has its own)"
        raise typer.BadParameter(f"{reason}, give one for each", param_hint="--strength")
    rest = iter(given)
    return [next(rest, None) if each is None else each for each in own]


def push(
    map: MapPlace,
    repository: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Repository, created if missing.")
    ],
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository public rather than private.")
    ] = False,
) -> None:
    """Upload a map with its prompts and previews to the hub, and print how to load it.

    It needs a token that may write, in HF_TOKEN or from `hf auth login`.
    """
    load_noted(map)
    pushed = push_maps(map, repository, private=not public)
    typer.echo(str(pushed.place))
    typer.echo(f"see {pushed.address}", err=True)
