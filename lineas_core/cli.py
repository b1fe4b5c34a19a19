"""The command line: data to stdout, messages to stderr; exit 2 for usage, 1 for failure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from lineas_core.affine import SteeringMaps, compose
from lineas_core.config import BUDGETS, LearnConfig
from lineas_core.errors import UserError
from lineas_core.evaluate import METRICS, sweep
from lineas_core.folding import fold
from lineas_core.learn import learn_iter
from lineas_core.models import Sampling, fetch, load_model
from lineas_core.prompts import PromptSet
from lineas_core.storage import check_fits, load_maps, save_maps

__all__ = ["main"]

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)

Seed = Annotated[int, typer.Option(help="Same seed, same result.")]
Model = Annotated[str, typer.Option(help="Catalog name, hub id or folder.")]


def main() -> None:
    """Run the command line; a problem the user can act on is one line, never a trace."""
    try:
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
    budget: Annotated[str, typer.Option(help=f"One of: {', '.join(BUDGETS)}.")] = "quick",
    iterations: Annotated[int | None, typer.Option(help="Instead of the budget's.")] = None,
    seed: Seed = 0,
) -> None:
    """Learn a map from source and target prompts. Ctrl-C saves the best so far."""
    data = PromptSet.load(prompts)
    if budget not in BUDGETS:
        raise typer.BadParameter(f"choose from {', '.join(BUDGETS)}", param_hint="--budget")
    base = BUDGETS[budget]
    config = LearnConfig(
        **{**vars(base), "iterations": iterations or base.iterations, "seed": seed}
    )
    run = learn_iter(
        load_model(model),
        data.source,
        data.target,
        config=config,
        heldout=(data.heldout_source, data.heldout_target),
    )
    best = last = None
    interrupted = False
    try:
        for last in run:
            best = last if last.best else best
            heldout = "" if last.heldout is None else f"  held-out {last.heldout:.4f}"
            typer.echo(f"{last.iteration:5d}  loss {last.loss:.4f}{heldout}", err=True)
    except KeyboardInterrupt:
        last, interrupted = best, True
    if last is None:
        raise SystemExit(130)
    save_maps(last.maps, output, prompts=data)
    typer.echo(str(output))
    if interrupted:
        raise SystemExit(130)


@app.command()
def generate(
    prompt: list[str],
    model: Annotated[str | None, typer.Option(help="The first map's model if not given.")] = None,
    map: Annotated[list[str] | None, typer.Option(help="FOLDER[:STRENGTH], repeatable.")] = None,
    seed: Seed = 0,
    max_new_tokens: int = Sampling.max_new_tokens,
    temperature: float = Sampling.temperature,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Continue prompts, steered by any number of maps in the given order."""
    steps = [_map_and_strength(text) for text in map or []]
    name = model or (steps[0][0].metadata.get("model") if steps else None) or "smollm2-135m"
    loaded = load_model(name)
    for maps, _ in steps:
        check_fits(maps, loaded)
    composed = compose([maps for maps, _ in steps], [strength for _, strength in steps])
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature)
    with fold(loaded.network, composed):
        texts = loaded.generate(prompt, seeds=[seed] * len(prompt), sampling=sampling)
    for opening, text in zip(prompt, texts, strict=True):
        row = {"prompt": opening, "text": text, "seed": seed, "maps": map or []}
        typer.echo(json.dumps(row, ensure_ascii=False) if json_lines else opening + text)


@app.command()
def evaluate(
    map: Annotated[Path, typer.Argument(help="Folder of a learnt map.")],
    openings: Annotated[Path, typer.Argument(help="Texts to continue, one per line.")],
    metric: Annotated[str, typer.Option(help=f"One of: {', '.join(METRICS)}.")] = "topic",
    strengths: Annotated[
        str, typer.Option(help="Numbers, separated by commas.")
    ] = "-1,-0.5,0,0.5,1",
    seeds: Annotated[int, typer.Option(help="Number of repetitions.", min=1)] = 4,
    json_lines: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Share of steered texts with a property, and their perplexity, at each strength."""
    maps = load_maps(map)
    model = load_model(maps.metadata["model"])
    check_fits(maps, model)
    if metric not in METRICS:
        raise typer.BadParameter(f"choose from {', '.join(METRICS)}", param_hint="--metric")
    try:
        lams = [float(x) for x in strengths.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{strengths!r} is no list", param_hint="--strengths") from None
    lines = [x for x in openings.read_text(encoding="utf-8").splitlines() if x.strip()]
    rows = sweep(model, maps, lines, metric=metric, strengths=lams, seeds=range(seeds))
    for row in rows:
        if json_lines:
            typer.echo(json.dumps(row))
        else:
            typer.echo(
                f"λ {row['strength']:+.2f}  {metric} {row['share']:6.1%} ± {row['spread']:5.1%}"
                f"  perplexity {row['perplexity']:6.1f}  ({row['texts']} texts)"
            )


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


def _map_and_strength(text: str) -> tuple[SteeringMaps, float]:
    folder, colon, strength = text.rpartition(":")
    try:
        return (load_maps(folder), float(strength)) if colon else (load_maps(text), 1.0)
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        raise typer.BadParameter(f"{strength!r} is no strength", param_hint="--map") from None
