"""Commands that measure the effect of maps and compute the tables of the paper."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from lineas_core.cli.arguments import (
    Device,
    JsonLines,
    MapPlace,
    check_choice,
    check_strengths,
    load_model_of,
    load_noted,
    numbers,
)
from lineas_core.cli.checks import known_kind, none_for_texts
from lineas_core.cli.formats import format_row, json_line
from lineas_core.errors import UserError
from lineas_core.evaluation import pictures, texts
from lineas_core.evaluation.texts import METRICS
from lineas_core.models import TextToImageModel
from lineas_core.prompts.files import read_file, read_rows
from lineas_core.storage.places import name_of_maps
from lineas_core.tables import EDITIONS, TABLES, make
from lineas_core.tables.cluster import make_on, parse_place
from lineas_core.tables.plan import plan as describe_plan

__all__ = ["evaluate", "sweep"]

_METRIC, _SEEDS = "topic", 4


def sweep(
    map: MapPlace,
    openings: Annotated[
        Path, typer.Argument(help="Texts to continue, or scenes to paint, one per line.")
    ],
    metric: Annotated[
        str | None, typer.Option(help=f"For texts: {', '.join(METRICS)} [default: {_METRIC}].")
    ] = None,
    strengths: Annotated[
        str, typer.Option(help="Numbers from -1 to 1, separated by commas.")
    ] = "-1,-0.5,0,0.5,1",
    seeds: Annotated[
        int | None,
        typer.Option(help=f"Texts per opening and strength [default: {_SEEDS}].", min=1),
    ] = None,
    json_lines: JsonLines = False,
) -> None:
    """Measure the effect of a map at several strengths.

    For texts: the share that has a property, and their perplexity; toxicity is counted by several
    independent judges. For pictures, with and without the concept in the prompt: ConceptScore, and
    ImgScore against the original. Pictures of emoji-world are also compared with the same scene
    without the concept. Of an object: how much is left in its place, in how many pictures it is
    visible, and how much the rest of the picture changes. Of a style: how far the picture has come
    on the way to that scene, and how far astray it ends. Of both: how much pictures without the
    concept change.
    """
    check_choice(metric or _METRIC, METRICS, "--metric")
    factors, lines = numbers(strengths), _read_lines(openings)
    check_strengths(factors)
    maps = load_noted(map)
    name = str(maps.metadata.get("model") or "")
    if known_kind(name) == "text-to-image":
        none_for_texts(name, metric=metric, seeds=seeds)
    model = load_model_of(maps, name_of_maps(map))
    rows: Iterator[dict]
    if isinstance(model, TextToImageModel):
        none_for_texts(model.name, metric=metric, seeds=seeds)
        rows = pictures.sweep_pictures(model, maps, lines, strengths=factors)
    else:
        found, repetitions = metric or _METRIC, range(seeds or _SEEDS)
        rows = texts.sweep(model, maps, lines, metric=found, strengths=factors, seeds=repetitions)
    for row in rows:
        typer.echo(json_line(row) if json_lines else format_row(row))


def evaluate(
    table: Annotated[str, typer.Argument(help=f"One of: {', '.join(TABLES)}.")],
    edition: Annotated[str, typer.Option(help=f"One of: {', '.join(EDITIONS)}.")] = "small",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="Compute only the rows with KEY=VALUE, such as topic=football; repeatable. "
            "Repeating a KEY adds another value."
        ),
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results"),
    on: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Let workers compute the rows: local:NUMBER on this machine, slurm:PARTITION on "
            "a cluster [default: this process].",
        ),
    ] = None,
    device: Device = None,
    plan: Annotated[
        bool,
        typer.Option(help="Only print what the table needs: models, disk, memory, hours, data."),
    ] = False,
) -> None:
    """Compute a table of results; the same command resumes an interrupted run.

    `small` runs on the embedded models; `paper` uses the models, budgets, layers and judges of
    the paper, on a GPU, and its data for toxicity and truthfulness, from the hub; --plan lists
    them. All else is learnt from prompts that come with the project. To recompute rows, delete
    the table's JSON file.
    """
    check_choice(table, TABLES, "TABLE")
    check_choice(edition, EDITIONS, "--edition")
    wanted = _wanted(only or [])
    if plan:
        typer.echo(describe_plan(TABLES[table], edition, wanted))
        return
    if on and device:
        raise typer.BadParameter("workers take one GPU each", param_hint="--device")
    compute = partial(make_on, parse_place(on, edition)) if on else partial(make, device=device)
    page = compute(
        TABLES[table],
        output_dir,
        edition=edition,
        only=wanted,
        report=lambda line: typer.echo(line, err=True),
    )
    typer.echo(str(page))


def _read_lines(file: Path) -> list[str]:
    lines = [row.text for row in read_rows(*read_file(file), "source").rows if row.text]
    if not lines:
        remedy = "Write one per line."
        raise UserError("E_PROMPTS", "there are no texts", where=file.name, remedy=remedy)
    return lines


def _wanted(pairs: Iterable[str]) -> dict[str, set[str]]:
    """Parse KEY=VALUE pairs into the wanted values of each key."""
    wanted: dict[str, set[str]] = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if not value:
            raise typer.BadParameter("write KEY=VALUE", param_hint="--only")
        wanted.setdefault(name, set()).add(value)
    return wanted
