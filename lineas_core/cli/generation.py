"""The command that generates texts or pictures with maps."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    none_for_texts,
    numbers,
    step_range,
)
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
    """Generate from prompts with one or more maps."""
    steering = _Steering.load(map or [], strengths)
    loaded = as_denoising(
        load_model(
            model or steering.model or "smollm2-135m", device=device, progress=on_change(report)
        ),
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        steer_at=step_range(steer_steps),
    )
    for maps in steering.maps:
        check_fits(maps, loaded)
    options: dict[str, Any] = {"max_new_tokens": max_new_tokens, "temperature": temperature}
    if isinstance(loaded, TextToImageModel):
        none_for_texts(loaded, **options, chat=chat or None)
    elif output_dir is not None:
        what = f"{loaded.name} writes texts, which are printed"
        raise UserError("E_SETTING", what, remedy="Leave out --output-dir.")
    sampling = Sampling(**{k: v for k, v in options.items() if v is not None})
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
        loaded = [load_map_and_strength(text) for text in texts]
        parsed = numbers(factors) if factors else None
        if parsed and not loaded:
            raise typer.BadParameter("give a --map, too", param_hint="--strengths")
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
        return [[factor * own for factor in self.factors] for own in self.strengths]

    @property
    def by_result(self) -> list[list[float]]:
        """For each result the strengths of all maps."""
        return [[factor * own for own in self.strengths] for factor in self.factors or [1]]


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
    if not steering.factors:
        return [{"text": texts[0]}]
    pairs = zip(steering.factors, texts, strict=True)
    return [{"strength": factor, "text": written} for factor, written in pairs]


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
    image = strip(images, [*map(label_of, factors)]) if factors else images[0]
    file = save_png(image, path, recipe)
    return {"strengths": factors, "file": str(file)} if factors else {"file": str(file)}
