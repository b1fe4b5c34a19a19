"""The command that generates texts or pictures with maps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from lineas_core.cli.arguments import (
    Device,
    GuidanceScale,
    InferenceSteps,
    JsonLines,
    MapsWithStrengths,
    Seed,
    SteerSteps,
    as_denoising,
    check_strengths,
    load_map_and_strength,
    numbers,
    step_range,
)
from lineas_core.cli.checks import check_denoising, known_kind, none_for_texts
from lineas_core.cli.formats import format_result, json_line
from lineas_core.cli.runs import report
from lineas_core.errors import UserError
from lineas_core.models import LanguageModel, Sampling, TextToImageModel, load_model
from lineas_core.models.vocabulary import note_unknown
from lineas_core.pictures import label_of, paint, recipe_of, save_png, strip
from lineas_core.runtime.reporting import on_change
from lineas_core.steering.affine import SteeringMaps, compose
from lineas_core.steering.folding import fold
from lineas_core.storage.fits import check_fits

__all__ = ["generate"]


def generate(
    prompt: list[str],
    model: Annotated[
        str | None, typer.Option(help="Model [default: that of the first map].")
    ] = None,
    map: MapsWithStrengths = None,
    strengths: Annotated[
        str | None,
        typer.Option(
            help="Strengths to generate at, such as -1,0,1; multiplied by those of --map."
        ),
    ] = None,
    seed: Seed = 0,
    max_new_tokens: Annotated[
        int | None, typer.Option(help=f"Tokens of a text [default: {Sampling.max_new_tokens}].")
    ] = None,
    temperature: Annotated[
        float | None,
        typer.Option(help=f"Of a text; 0 is the likeliest [default: {Sampling.temperature}]."),
    ] = None,
    chat: Annotated[bool, typer.Option("--chat", help="Use the model's chat template.")] = False,
    num_inference_steps: InferenceSteps = None,
    guidance_scale: GuidanceScale = None,
    steer_steps: SteerSteps = None,
    output_dir: Annotated[
        Path | None, typer.Option(help="Folder for pictures [default: this one].")
    ] = None,
    device: Device = None,
    json_lines: JsonLines = False,
) -> None:
    """Generate from prompts with one or more maps.

    With --json a result has prompt, seed and maps, the text or the file, and strengths: λ of each
    of the maps, times the factor from --strengths, if there is one. A strip has factors, and for
    each map a list with λ of each picture.
    """
    steps: dict[str, Any] = {
        "num_inference_steps": num_inference_steps,
        "guidance_scale": guidance_scale,
        "steer_at": step_range(steer_steps),
    }
    options = {"max_new_tokens": max_new_tokens, "temperature": temperature}
    given: Any = {name: value for name, value in options.items() if value is not None}
    sampling = Sampling(**given)
    steering = _Steering.load(map or [], strengths)
    name = model or steering.model or "smollm2-135m"
    others = {**options, "chat": chat or None}
    _check(name, known_kind(name), output_dir, others)
    check_denoising(name, steps)
    loaded = load_model(name, device=device, progress=on_change(report))
    _check(loaded.name, loaded.kind, output_dir, others)
    loaded = as_denoising(loaded, **steps)
    for maps in steering.maps:
        check_fits(maps, loaded)
    for note in note_unknown(loaded.name, prompt):
        typer.echo(f"note: {note}", err=True)
    for text in prompt:
        if isinstance(loaded, TextToImageModel):
            rows = [_paint(loaded, steering, text, seed, output_dir or Path())]
        else:
            rows = _continue(loaded, steering, text, seed, sampling, chat=chat)
        for row in rows:
            facts = {"prompt": text, "seed": seed, "maps": map or [], **row}
            typer.echo(json_line(facts) if json_lines else format_result(facts))


def _check(
    name: str, kind: str | None, output_dir: Path | None, texts: Mapping[str, object]
) -> None:
    """Refuse options that models of a kind, None if it is not known yet, do not take."""
    if kind == "text-to-image":
        none_for_texts(name, **texts)
    elif kind and output_dir is not None:
        what = f"{name} writes texts, which are printed"
        raise UserError("E_SETTING", what, remedy="Leave out --output-dir.")


@dataclass(frozen=True)
class _Steering:
    """Maps with their strengths.

    Attributes:
        maps: k maps, in the order in which they are applied.
        strengths: the k strengths of the maps.
        factors: the values of --strengths, which multiply the strengths; None without it.
    """

    maps: Sequence[SteeringMaps]
    strengths: Sequence[float]
    factors: Sequence[float] | None

    @classmethod
    def load(cls, texts: Sequence[str], factors: str | None) -> _Steering:
        parsed = numbers(factors) if factors else None
        if parsed and not texts:
            raise typer.BadParameter("give a --map, too", param_hint="--strengths")
        loaded = [load_map_and_strength(text) for text in texts]
        steering = cls([maps for maps, _ in loaded], [own for _, own in loaded], parsed)
        check_strengths(chain.from_iterable(steering.by_result))
        return steering

    @property
    def model(self) -> str | None:
        """The model that the first map was learnt on."""
        return self.maps[0].metadata.get("model") if self.maps else None

    @property
    def by_map(self) -> list[float] | list[list[float]]:
        """For each map its strength, or a list of them with one for each factor."""
        if not self.factors:
            return [*self.strengths]
        return [[*column] for column in zip(*self.by_result, strict=True)]

    @property
    def by_result(self) -> list[list[float]]:
        """For each result the strengths of all maps."""
        # 0 is added because -0.0 would be labelled -0.
        return [[factor * own + 0.0 for own in self.strengths] for factor in self.factors or [1]]


def _continue(
    model: LanguageModel,
    steering: _Steering,
    text: str,
    seed: int,
    sampling: Sampling,
    *,
    chat: bool,
) -> list[dict[str, Any]]:
    """Continue a text in one batch; return one row for each factor."""
    count = len(steering.factors or [1])
    with fold(model.network, compose(steering.maps, steering.by_map)):
        texts = model.generate([text] * count, seeds=[seed] * count, sampling=sampling, chat=chat)
    rows: list[dict[str, Any]] = [
        {"strengths": strengths, "text": written}
        for strengths, written in zip(steering.by_result, texts, strict=True)
    ]
    if steering.factors:
        rows = [{"factor": f, **row} for f, row in zip(steering.factors, rows, strict=True)]
    return rows


def _paint(
    model: TextToImageModel, steering: _Steering, prompt: str, seed: int, folder: Path
) -> dict[str, Any]:
    """Paint a picture, or a strip with one picture for each factor, and save it as one file."""
    titles = [str(maps.metadata.get("title", "a map")) for maps in steering.maps]
    identities = [("", maps.metadata.get("sha256")) for maps in steering.maps]
    recipe = recipe_of(
        model, prompt, seed, list(zip(titles, steering.by_map, strict=True)), identities
    )
    images = paint(model, steering.maps, steering.by_result, prompt, seed)
    if model.truncated([prompt]):
        message = "The prompt exceeds the model's context length and was truncated."
        typer.echo(message, err=True)
    factors = steering.factors
    slug = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:40] or "picture"
    path = folder / f"{slug}-seed{seed}{'-strip' if factors else ''}.png"
    image = images[0]
    if factors:
        image = strip(images, [label_of(*strengths) for strengths in steering.by_result])
    file = save_png(image, path, recipe)
    row = {"strengths": steering.by_map, "file": str(file)}
    return {"factors": factors, **row} if factors else row
