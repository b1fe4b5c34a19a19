"""Commands that install a model and learn maps on one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from lineas_core.cli.arguments import (
    DenoisingSteps,
    Device,
    GuidanceScale,
    InferenceSteps,
    Seed,
    as_denoising,
    check_choice,
    whole_numbers,
)
from lineas_core.cli.planning import describe_run
from lineas_core.cli.runs import Learner, make_folder, note_matching, report, save_partial
from lineas_core.errors import UserError
from lineas_core.learning.config import BUDGETS, COMPARISONS, MATCHING, FitConfig, LearnConfig
from lineas_core.learning.suited import suited_settings
from lineas_core.methods import METHODS
from lineas_core.models import LanguageModel, TextToImageModel, fetch, load_model
from lineas_core.models.vocabulary import note_unknown
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.prompts.tables import PAIRS, Columns
from lineas_core.runtime.processes import is_first, is_launched, joined
from lineas_core.runtime.reporting import on_change
from lineas_core.storage.maps import save_maps

__all__ = ["fetch_model", "learn"]

_QUICK = "quick"


def fetch_model(
    model: str,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare the checksums of an installed model.")
    ] = False,
) -> None:
    """Download a model of the catalog, or OWNER/NAME[@REVISION] from the hub, once.

    Pickled weights are converted to safetensors; those of a folder, too.

    After Ctrl-C, the same command continues.
    """
    try:
        fetch(model, on_change(report), verify=verify)
    except KeyboardInterrupt:
        typer.echo("Interrupted. Run the same command again to continue.", err=True)
        raise SystemExit(130) from None


def learn(
    prompts: Annotated[
        list[Path],
        typer.Argument(
            help="A file with both sides (csv, tsv, json, jsonl, ndjson), or two files with one "
            "side each (also txt): the source first, then the target."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="Folder for the learnt map.")],
    model: Annotated[
        str, typer.Option(help="Catalog name, OWNER/NAME[@REVISION] on the hub, or folder.")
    ] = "smollm2-135m",
    method: Annotated[str, typer.Option(help=f"One of: {', '.join(METHODS)}.")] = "lineas",
    budget: Annotated[
        str, typer.Option(help=f"For lineas, one of: {', '.join(BUDGETS)}.")
    ] = _QUICK,
    iterations: Annotated[
        int | None, typer.Option(help="Number of iterations [default: that of the budget].")
    ] = None,
    modules: Annotated[
        str | None,
        typer.Option(help="Layer preset or regular expression [default: the model's preset]."),
    ] = None,
    both_ways: Annotated[
        bool | None,
        typer.Option(
            help="Also learn the inverse direction [default: on for emoji-world beyond the quick "
            "budget, and for styles on other models]."
        ),
    ] = None,
    identity_loss: Annotated[
        bool | None,
        typer.Option(
            help="Keep target prompts where they are [default: on for emoji-world, and for "
            "sets about a tone, such as toxicity]."
        ),
    ] = None,
    shift_only: Annotated[
        bool | None,
        typer.Option(
            help="Learn shifts only, no scales [default: on for sets about a tone, and for topics "
            "on SmolLM2]."
        ),
    ] = None,
    support: Annotated[
        float | None,
        typer.Option(help="For lineas and caa: share of the coordinates to steer [default: 1]."),
    ] = None,
    compare: Annotated[
        str | None,
        typer.Option(
            help=f"What the loss compares: {' or '.join(COMPARISONS)}. With output, a picture "
            "model removes an object without a ghost [default: output for emoji-world, else "
            "activations]."
        ),
    ] = None,
    fresh_noise: Annotated[
        bool | None,
        typer.Option(help="Draw the noise anew at each iteration [default: on for emoji-world]."),
    ] = None,
    matched: Annotated[
        bool | None,
        typer.Option(
            help="Prompt k of each side is the same scene, with and without the concept [default: "
            "on if the two differ only by added words]."
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option(
            help="Prompts per side and iteration [default: 8 for emoji-world, else all]."
        ),
    ] = None,
    micro_batch_size: Annotated[
        int | None, typer.Option(help="Prompts per forward pass, to save memory.")
    ] = None,
    num_inference_steps: InferenceSteps = None,
    guidance_scale: GuidanceScale = None,
    denoising_step: DenoisingSteps = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            help="File to which the state of the run is saved every 30 seconds, or, for lofit-rl "
            "and lrtc-rl, folder to which it is saved after each pass over the prompts; the same "
            "command continues from it. Removed at the end. Other methods take none."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a map that OUTPUT holds.")
    ] = False,
    chat: Annotated[
        bool,
        typer.Option(
            "--chat", help="Give the prompts to the model as user turns of its chat template."
        ),
    ] = False,
    text_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column with the prompts; given twice, the columns of source and target "
            "[default: found by name]."
        ),
    ] = None,
    label_column: Annotated[
        str, typer.Option(help="Column with the label of each prompt [default: found by name].")
    ] = "",
    source_label: Annotated[
        str,
        typer.Option(help="Label of source prompts, such as 1; all other labels are targets."),
    ] = "",
    seed: Seed = 0,
    device: Device = None,
    plan: Annotated[
        bool,
        typer.Option("--plan", help="Only print the GPU memory and the time that learning needs."),
    ] = False,
) -> None:
    """Learn a map from source and target prompts.

    Ctrl-C saves the best maps so far, but never in place of a finished one.
    """
    chosen = {
        "iterations": iterations,
        "both_ways": both_ways,
        "identity_loss": identity_loss,
        "shift_only": shift_only,
        "support": support,
        "compare": compare,
        "fresh_noise": fresh_noise,
        "matched": None if matched is None else MATCHING[1 if matched else 2],
        "batch_size": batch_size,
        "micro_batch_size": micro_batch_size,
        "seed": seed or None,  # 0 is the default of every method that has one
    }
    given: dict[str, Any] = {k: v for k, v in chosen.items() if v is not None}
    _check(method, budget, given, checkpoint)
    with joined():
        first = is_first()
        columns = _columns(text_column or [], label_column, source_label)
        data = _load(prompts, columns, PAIRS if matched else "")
        _note(data.notes)
        suited = partial(suited_settings, model, data.kind, budget, modules=modules or "")
        if plan:
            config, steered = _settings(method, suited(), given)
            batch = getattr(config, "batch_size", None)
            typer.echo(describe_run(model, steered, data, batch))
            return
        learn_at = whole_numbers(denoising_step)
        make_folder(output, checkpoint, overwrite=overwrite)
        loaded = as_denoising(
            _load_model(model, device, chat=chat),
            num_inference_steps=num_inference_steps,
            guidance_scale=guidance_scale,
            learn_at=learn_at,
        )
        source, target = data.source + data.heldout_source, data.target + data.heldout_target
        _note(loaded.reader.describe(source, target))
        _note(note_unknown(loaded.name, (*source, *target)))
        suits = suited(keeps_layout=loaded.keeps_layout)
        config, steered = _settings(method, suits, given)
        _note(note_matching(loaded.kind, data, config))
        learner = Learner(METHODS[method], loaded, data, config, steered)
        maps, status = learner.learn(checkpoint)
    if first and status:
        save_partial(maps, output, data, checkpoint)
    elif first:
        save_maps(maps, output, prompts=data)
        typer.echo(str(output))
    raise SystemExit(status)


def _columns(texts: Sequence[str], label: str, source_label: str) -> Columns:
    if len(texts) > 2 or (len(texts) == 2 and (label or source_label)):
        reason = "give one with a label column, or two: that of the source, then of the target"
        raise typer.BadParameter(reason, param_hint="--text-column")
    if len(texts) == 2:
        return Columns(source=texts[0], target=texts[1])
    return Columns("".join(texts), label, source_label)


def _load(files: Sequence[Path], columns: Columns, layout: str) -> PromptSet:
    if len(files) > 2:
        raise typer.BadParameter("give one file, or two", param_hint="PROMPTS")
    if len(files) == 2 and columns.source:
        reason = "with a file for each side, give the one column that both have"
        raise typer.BadParameter(reason, param_hint="--text-column")
    return PromptSet.load(*files, columns=columns, layout=layout)


def _note(notes: Iterable[str]) -> None:
    for note in notes:
        report(f"note: {note}")


def _load_model(name: str, device: str | None, *, chat: bool) -> LanguageModel | TextToImageModel:
    if is_launched() and device is not None:
        reason = "under torchrun, every process takes the GPU of its rank"
        raise typer.BadParameter(reason, param_hint="--device")
    model = load_model(name, device=device, progress=on_change(report))
    if not chat:
        return model
    if isinstance(model, LanguageModel):
        return model.as_chat()
    remedy = "Leave out --chat, or choose an instruct model."
    raise UserError("E_CHAT", f"{name} makes pictures and has no chat template", remedy=remedy)


def _settings(
    method: str, suited: tuple[LearnConfig, str], given: dict[str, Any]
) -> tuple[FitConfig, str | None]:
    """Return settings and layers that suit the run, with what is given in their place."""
    config: FitConfig = suited[0] if METHODS[method].iterative else METHODS[method].config
    return replace(config, **given), suited[1] or None


def _check(method: str, budget: str, given: dict[str, Any], checkpoint: Path | None) -> None:
    """Refuse what the method does not take, before a model is loaded."""
    check_choice(budget, BUDGETS, "--budget")
    check_choice(method, METHODS, "--method")
    if is_launched() and not METHODS[method].iterative:
        raise typer.BadParameter("only lineas learns under torchrun", param_hint="--method")
    config = METHODS[method].config
    others = given.keys() - {field.name for field in fields(config)}
    if budget != _QUICK and not METHODS[method].iterative:
        others.add("budget")
    if checkpoint and not (METHODS[method].iterative or METHODS[method].checkpoints):
        others.add("checkpoint")
    if others:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in sorted(others))
        raise typer.BadParameter(f"{method} takes no {options}", param_hint="--method")
    replace(config, **given)  # raises an error for a value out of range
