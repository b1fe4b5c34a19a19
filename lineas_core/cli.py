"""The command line: data to stdout, messages to stderr; exit 2 for usage, 1 for failure."""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from PIL.Image import Image

from lineas_core.errors import UserError
from lineas_core.evaluation.pictures import sweep_pictures
from lineas_core.evaluation.texts import METRICS, sweep
from lineas_core.learning.config import BUDGETS
from lineas_core.learning.lineas import Iterate, learn_iter
from lineas_core.methods import METHODS
from lineas_core.models import LanguageModel, Sampling, TextToImageModel, fetch, load_model
from lineas_core.pictures import Recipe, paint, recipe_of, save_png, strip
from lineas_core.prompts.files import read_file, read_rows
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.runtime.memory import out_of_memory_as_user_error
from lineas_core.steering.affine import SteeringMaps, compose
from lineas_core.steering.folding import fold
from lineas_core.steering.hooks import find_modules
from lineas_core.storage.lycoris import export_norms
from lineas_core.storage.maps import check_fits, load_maps, save_maps
from lineas_core.tables import EDITIONS, TABLES, make

__all__ = ["main"]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

_QUICK = "quick"

Seed = Annotated[int, typer.Option(help="Same seed, same result.", min=0, max=2**53)]
Model = Annotated[str, typer.Option(help="Catalog name, hub id or folder.")]


def main() -> None:
    """Run the command line; a problem the user can act on is one line, never a trace."""
    # It reports, line by line, what it does without.
    logging.getLogger("transformers").setLevel(logging.ERROR)
    try:
        with out_of_memory_as_user_error():
            app()
    except UserError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(1) from None


@app.command("fetch")
def fetch_command(model: str) -> None:
    """Download and convert an embedded model, once."""
    fetch(model, progress=lambda line: typer.echo(line, err=True))


@app.command("learn")
def learn_command(
    prompts: Annotated[Path, typer.Argument(help="Prompt set: csv, json or jsonl.")],
    output: Annotated[Path, typer.Argument(help="Folder for the learnt map.")],
    model: Model = "smollm2-135m",
    method: Annotated[str, typer.Option(help=f"One of: {', '.join(METHODS)}.")] = "lineas",
    budget: Annotated[
        str, typer.Option(help=f"Of lineas, one of: {', '.join(BUDGETS)}.")
    ] = _QUICK,
    iterations: Annotated[int | None, typer.Option(help="Instead of the budget's.")] = None,
    modules: Annotated[
        str | None, typer.Option(help="Layer preset or regular expression; else the model's own.")
    ] = None,
    both_ways: Annotated[
        bool | None, typer.Option(help="Learn λ < 0, too; else where the set is about a style.")
    ] = None,
    identity_loss: Annotated[
        bool | None,
        typer.Option(help="Leave target prompts alone; else for a set about a manner of speech."),
    ] = None,
    shift_only: Annotated[
        bool | None, typer.Option(help="Do not scale; else for a set about a manner of speech.")
    ] = None,
    micro_batch_size: Annotated[
        int | None, typer.Option(help="Prompts at a time, where memory is short.")
    ] = None,
    seed: Seed = 0,
) -> None:
    """Learn a map from source and target prompts. Ctrl-C saves the best so far."""
    data = PromptSet.load(prompts)
    for note in data.notes:
        typer.echo(f"note: {note}", err=True)
    for value, table, option in ((budget, BUDGETS, "--budget"), (method, METHODS, "--method")):
        if value not in table:
            raise typer.BadParameter(f"choose from {', '.join(table)}", param_hint=option)
    iterative = METHODS[method].iterative
    chosen: dict[str, Any] = {
        "iterations": iterations,
        "both_ways": both_ways,
        "identity_loss": identity_loss,
        "shift_only": shift_only,
    }
    own = {name: value for name, value in chosen.items() if value is not None}
    if not iterative and (own or budget != _QUICK):
        raise typer.BadParameter(
            "only lineas takes iterations, a budget, both ways, an identity loss or shifts only",
            param_hint="--method",
        )
    base = replace(BUDGETS[budget], seed=seed) if iterative else METHODS[method].config
    config = replace(base, **(data.settings if iterative else {}) | own)
    if micro_batch_size is not None:
        config = replace(config, micro_batch_size=micro_batch_size)
    try:
        output.mkdir(parents=True, exist_ok=True)  # not after an hour's work
    except OSError as error:
        reason = f"no folder for the map ({error.strerror})"
        raise typer.BadParameter(reason, param_hint="OUTPUT") from None
    loaded = load_model(model)
    arguments: dict[str, Any] = {
        "config": config,
        "modules": find_modules(loaded.network, modules) if modules else None,
        "heldout": (data.heldout_source, data.heldout_target),
    }
    if iterative:
        run = learn_iter(loaded, data.source, data.target, **arguments)
        maps, status = _run_and_report(run)
    else:
        maps = METHODS[method].learn(loaded, data.source, data.target, **arguments)
        status = 0
    save_maps(maps, output, prompts=data)
    typer.echo(str(output))
    raise SystemExit(status)


@app.command()
def generate(
    prompt: list[str],
    model: Annotated[str | None, typer.Option(help="The first map's model if not given.")] = None,
    map: Annotated[
        list[str] | None,
        typer.Option(help="FOLDER[:STRENGTH], repeatable; else the method's strength."),
    ] = None,
    strengths: Annotated[
        str | None,
        typer.Option(help="One result for each, such as -1,0,1; they multiply the maps' own."),
    ] = None,
    seed: Seed = 0,
    max_new_tokens: int = Sampling.max_new_tokens,
    temperature: float = Sampling.temperature,
    chat: Annotated[bool, typer.Option("--chat", help="Ask as a question.")] = False,
    output_dir: Annotated[Path, typer.Option(help="Folder for pictures.")] = Path(),
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Continue or paint prompts, steered by any number of maps in the given order."""
    steps = [_map_and_strength(text) for text in map or []]
    factors = _numbers(strengths) if strengths else None
    if factors and not steps:
        raise typer.BadParameter("give a --map, too", param_hint="--strengths")
    name = model or (steps[0][0].metadata.get("model") if steps else None) or "smollm2-135m"
    loaded = load_model(name)
    for maps, _ in steps:
        check_fits(maps, loaded)
    own = [strength for _, strength in steps]
    applied = [[factor * strength for factor in factors] for strength in own] if factors else own
    concepts = [maps for maps, _ in steps]
    titles = [str(maps.metadata.get("title", "a map")) for maps, _ in steps]
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature)
    for text in prompt:
        if isinstance(loaded, TextToImageModel):
            recipe = recipe_of(loaded, text, seed, list(zip(titles, applied, strict=True)))
            each = [[factor * strength for strength in own] for factor in factors or [1]]
            images = paint(loaded, concepts, each, text, seed)
            rows = [_saved(loaded, recipe, images, factors, output_dir)]
        else:
            with fold(loaded.network, compose(concepts, applied)):
                rows = _continue(loaded, text, seed, factors, sampling, chat)
        for row in rows:
            facts = {"prompt": text, "seed": seed, "maps": map or [], **row}
            typer.echo(_json(facts) if json_lines else _plain(facts))


@app.command("sweep")
def sweep_command(
    map: Annotated[Path, typer.Argument(help="Folder of a learnt map.")],
    openings: Annotated[
        Path, typer.Argument(help="Texts to continue, or scenes to paint, one per line.")
    ],
    metric: Annotated[str, typer.Option(help=f"Of texts: {', '.join(METRICS)}.")] = "topic",
    strengths: Annotated[
        str, typer.Option(help="Numbers, separated by commas.")
    ] = "-1,-0.5,0,0.5,1",
    seeds: Annotated[int, typer.Option(help="Repetitions of texts.", min=1)] = 4,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """What a map does at each strength.

    Of texts: the share that has a property, and perplexity. Of pictures, with the concept in the
    prompt and without: ConceptScore, and ImgScore against the original.
    """
    if metric not in METRICS:
        raise typer.BadParameter(f"choose from {', '.join(METRICS)}", param_hint="--metric")
    factors = _numbers(strengths)
    lines = [row.text for row in read_rows(*read_file(openings), "source") if row.text]
    if not lines:
        raise UserError(
            "E_PROMPTS", "there are no texts", where=openings.name, remedy="Write one per line."
        )
    maps, model = _map_and_model(map)
    if isinstance(model, TextToImageModel):
        rows = sweep_pictures(model, maps, lines, strengths=factors)
    else:
        rows = sweep(model, maps, lines, metric=metric, strengths=factors, seeds=range(seeds))
    for row in rows:
        typer.echo(_json(row) if json_lines else _format_row(row, metric))


@app.command()
def evaluate(
    table: Annotated[str, typer.Argument(help=f"One of: {', '.join(TABLES)}.")],
    edition: Annotated[str, typer.Option(help=f"One of: {', '.join(EDITIONS)}.")] = "small",
    only: Annotated[
        list[str] | None,
        typer.Option(
            help="KEY=VALUE, repeatable: only these lines, such as topic=football; the same KEY "
            "again adds another value."
        ),
    ] = None,
    output_dir: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results"),
) -> None:
    """Make a table of the paper, or go on with it: what is done is kept.

    `small` runs on the embedded models; `paper` takes the models, budgets, layers and judges of
    the paper, on a GPU. Both use prompts that come with the project. To make lines anew, delete
    the table's JSON file.
    """
    for value, known, hint in ((table, TABLES, "TABLE"), (edition, EDITIONS, "--edition")):
        if value not in known:
            raise typer.BadParameter(f"choose from {', '.join(known)}", param_hint=hint)
    parts = [text.partition("=") for text in only or []]
    if not all(value for _, _, value in parts):
        raise typer.BadParameter("write KEY=VALUE", param_hint="--only")
    wanted: dict[str, set[str]] = {}
    for name, _, value in parts:
        wanted.setdefault(name, set()).add(value)
    written = make(
        TABLES[table],
        output_dir,
        edition=edition,
        only=wanted,
        tell=lambda line: typer.echo(line, err=True),
    )
    typer.echo(str(written))


@app.command()
def info(path: Path) -> None:
    """What a learnt map is, as JSON."""
    maps = load_maps(path)
    figures = {
        "support": maps.support,
        "not_invertible": maps.not_invertible,
        "reflected": maps.reflected,
    }
    typer.echo(json.dumps({**maps.metadata, **figures}, indent=2))


@app.command()
def export(
    map: Annotated[Path, typer.Argument(help="Folder of a learnt map.")],
    output_dir: Annotated[Path, typer.Option(help="Folder for the files.")] = Path(),
) -> None:
    """Write a map of norms as LyCORIS files for other tools, and its inverse as a second one."""
    maps, model = _map_and_model(map)
    for file in export_norms(maps, model, output_dir, map.resolve().name):
        typer.echo(str(file))


def _run_and_report(run: Iterable[Iterate]) -> tuple[SteeringMaps, int]:
    """Run to the end, report every iterate, and return the maps and the exit status.

    The maps are the last ones; after Ctrl-C or a failure they are the best ones so far.
    """
    last = None
    try:
        for last in run:
            heldout = "" if last.heldout is None else f"  held-out {last.heldout:.4f}"
            typer.echo(f"{last.iteration:5d}  loss {last.loss:.4f}{heldout}", err=True)
    except KeyboardInterrupt:
        if last is None:
            raise SystemExit(130) from None
        return last.best_maps, 130
    except UserError as error:
        if last is None:
            raise
        typer.echo(f"error: {error} The best maps so far are saved.", err=True)
        return last.best_maps, 1
    return last.maps, 0  # type: ignore[union-attr]


def _map_and_model(folder: Path) -> tuple[SteeringMaps, LanguageModel | TextToImageModel]:
    maps = load_maps(folder)
    name = maps.metadata.get("model")
    if not name:
        raise UserError(
            "E_MODEL",
            "the map does not tell its model",
            where=folder.name,
            remedy="Give a map as `learn` saves it.",
        )
    model = load_model(name)
    check_fits(maps, model)
    return maps, model


def _continue(
    model: LanguageModel,
    text: str,
    seed: int,
    factors: list[float] | None,
    sampling: Sampling,
    chat: bool,
) -> list[dict[str, Any]]:
    """One row for every strength."""
    rows = len(factors or [1])
    texts = model.generate([text] * rows, seeds=[seed] * rows, sampling=sampling, chat=chat)
    if not factors:
        return [{"text": texts[0]}]
    return [{"strength": factor, "text": t} for factor, t in zip(factors, texts, strict=True)]


def _saved(
    model: TextToImageModel,
    recipe: Recipe,
    images: Sequence[Image],
    factors: list[float] | None,
    folder: Path,
) -> dict[str, Any]:
    """One file: a picture, or a strip of pictures for the strengths."""
    if model.truncated([recipe.prompt]):
        typer.echo("The prompt is longer than the model reads; its end is ignored.", err=True)
    slug = re.sub(r"[^a-z0-9]+", "-", recipe.prompt.lower()).strip("-")[:40] or "picture"
    path = folder / f"{slug}-seed{recipe.seed}{'-strip' if factors else ''}.png"
    file = save_png(strip(images, factors) if factors else images[0], path, recipe)
    return {"strengths": factors, "file": str(file)} if factors else {"file": str(file)}


def _plain(facts: dict[str, Any]) -> str:
    label = f"λ {facts['strength']:+.2f}  " if "strength" in facts else ""
    return facts.get("file") or f"{label}{facts['prompt']}{facts['text']}"


def _format_row(row: dict[str, Any], metric: str) -> str:
    if "pictures" in row:
        sides = [
            f"{side} {'-' if scores['concept'] is None else format(scores['concept'], '5.2f')}"
            f"  ImgScore {scores['image']:5.2f}"
            for side, scores in row.items()
            if isinstance(scores, dict)
        ]
        return (
            f"λ {row['strength']:+.2f}  concept {'  '.join(sides)}  ({row['pictures']} pictures)"
        )
    return (
        f"λ {row['strength']:+.2f}  {metric} {row['share']:6.1%} ± {row['spread']:5.1%}"
        f"  perplexity {row['perplexity']:6.1f}  repeated {row['repetition']:4.0%}"
        f"  ({row['texts']} texts)"
    )


def _json(row: Mapping[str, Any]) -> str:
    """As a line of JSON, which knows no NaN."""
    known = {k: None if isinstance(v, float) and math.isnan(v) else v for k, v in row.items()}
    return json.dumps(known, ensure_ascii=False)


def _numbers(text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no list", param_hint="--strengths") from None


def _map_and_strength(text: str) -> tuple[SteeringMaps, float]:
    folder, colon, strength = text.rpartition(":")
    try:
        if colon:
            return load_maps(folder), float(strength)
        maps = load_maps(text)
        return maps, maps.metadata.get("strength", 1.0)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise typer.BadParameter(f"{strength!r} is no strength", param_hint="--map") from None
