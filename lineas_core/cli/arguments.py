"""Options that several commands share, and the conversion of arguments to maps and numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Any

import typer

from lineas_core.cli.checks import no_pictures
from lineas_core.cli.runs import report
from lineas_core.errors import UserError
from lineas_core.models import LanguageModel, TextToImageModel, load_model
from lineas_core.runtime.reporting import on_change
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.plausible import describe_implausible, recommended_strength
from lineas_core.storage.fits import check_fits
from lineas_core.storage.maps import load_maps
from lineas_core.storage.places import find_maps_here, hub_place

__all__ = [
    "Device",
    "DenoisingSteps",
    "GuidanceScale",
    "InferenceSteps",
    "JsonLines",
    "MapPlace",
    "MapsWithStrengths",
    "Seed",
    "SteerSteps",
    "as_denoising",
    "check_choice",
    "check_strengths",
    "load_language_model",
    "load_map_and_strength",
    "load_model_of",
    "load_noted",
    "numbers",
    "split_strength",
    "step_range",
    "whole_numbers",
]

Seed = Annotated[int, typer.Option(help="The same seed gives the same result.", min=0, max=2**53)]
MapPlace = Annotated[
    str,
    typer.Argument(
        metavar="MAP",
        help="Folder of a learnt map, name of a ready-made one, or OWNER/NAME[@REVISION] on the "
        "hub.",
    ),
]
MapsWithStrengths = Annotated[
    list[str] | None,
    typer.Option(
        "--map",
        metavar="MAP[:STRENGTH]",
        help="Folder or name of a map, or OWNER/NAME[@REVISION] on the hub, with a strength from "
        "-1 to 1; repeatable [default strength: that of the map's method, usually 1].",
    ),
]
Device = Annotated[
    str | None,
    typer.Option(
        help="Where the model computes: cpu, cuda, cuda:1, or auto, which spreads a language "
        "model over all GPUs of the machine [default: cuda if there is a GPU]."
    ),
]
InferenceSteps = Annotated[
    int | None,
    typer.Option(
        help="Denoising steps of a picture model [default: as it was trained].", min=1, max=1000
    ),
]
DenoisingSteps = Annotated[
    str | None,
    typer.Option(
        "--denoising-step",
        help="Denoising step of a picture model at which the map is learnt, counted from 0; or "
        "several, such as 0,2 [default: 0].",
    ),
]
SteerSteps = Annotated[
    str | None,
    typer.Option(
        help="Denoising steps at which maps act, counted from 0: a range such as 0-1, or one step "
        "[default: all]."
    ),
]
GuidanceScale = Annotated[
    float | None,
    typer.Option(
        help="Guidance of a picture model: weight of the prompt against an empty one; 0 for none "
        "[default: as it was trained].",
        min=0,
        max=100,
    ),
]
JsonLines = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


def check_choice(value: str, known: Collection[str], option: str) -> None:
    """Refuse a value that is not among the known ones.

    Raises:
        typer.BadParameter: the value is unknown; the message lists the known ones.
    """
    if value not in known:
        raise typer.BadParameter(f"choose from {', '.join(known)}", param_hint=option)


def check_strengths(strengths: Iterable[float]) -> None:
    """Refuse strengths that the page and the endpoint refuse, too; the library takes any.

    Raises:
        UserError: one is not a number from -1 to 1.
    """
    for strength in strengths:
        if not -1 <= strength <= 1:  # also NaN
            remedy = "Give a number from -1 to 1."
            raise UserError("E_STRENGTH", f"strength is {strength:g}", remedy=remedy)


def numbers(text: str) -> list[float]:
    """Parse a list of numbers that are separated by commas.

    Raises:
        typer.BadParameter: a part of the text is not a number.
    """
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        reason = f"{text!r} is not a list of numbers"
        raise typer.BadParameter(reason, param_hint="--strengths") from None


def whole_numbers(text: str | None) -> list[int] | None:
    """Parse a list of whole numbers that are separated by commas; None stays None.

    Raises:
        typer.BadParameter: a part of the text is not a whole number.
    """
    try:
        return [int(number) for number in text.split(",")] if text is not None else None
    except ValueError:
        reason = f"{text!r} is not a list of whole numbers"
        raise typer.BadParameter(reason, param_hint="--denoising-step") from None


def step_range(text: str | None) -> tuple[int, int] | None:
    """Parse the first and the last of a range of steps, or one step; None stays None.

    Raises:
        typer.BadParameter: the text is neither.
    """
    if text is None:
        return None
    first, dash, last = text.partition("-")
    try:
        return int(first), int(last if dash else first)
    except ValueError:
        reason = f"{text!r} is neither a step nor a range of steps such as 0-1"
        raise typer.BadParameter(reason, param_hint="--steer-steps") from None


def as_denoising(
    model: LanguageModel | TextToImageModel, **settings: float | Sequence[int] | None
) -> LanguageModel | TextToImageModel:
    """Return a model with other settings of `TextToImageModel.with_denoising`; None keeps one.

    Raises:
        UserError: the model writes texts, or does not have a setting.
    """
    given: Any = {name: value for name, value in settings.items() if value is not None}
    if not given:
        return model
    if isinstance(model, TextToImageModel):
        return model.with_denoising(**given)
    raise no_pictures(model.name)


def load_map_and_strength(text: str) -> tuple[SteeringMaps, float]:
    """Load the maps of MAP[:STRENGTH]; the default strength is that of the method.

    Raises:
        UserError: there is no usable map, or the strength is not from -1 to 1.
        typer.BadParameter: the strength is not a number.
    """
    place, strength = split_strength(text)
    maps = load_noted(place)
    if strength is None:
        strength = recommended_strength(maps.metadata)
    check_strengths([strength])
    return maps, strength


def split_strength(text: str) -> tuple[str, float | None]:
    r"""Split MAP[:STRENGTH]; the strength is None if there is none.

    A path may contain colons itself, such as `C:\\maps\\robot`. What exists as a whole is a path.

    Raises:
        typer.BadParameter: the strength is not a number.
    """
    place, colon, strength = text.rpartition(":")
    if not colon or find_maps_here(text):
        return text, None
    try:
        return place, float(strength)
    except ValueError:
        if find_maps_here(place) or hub_place(place):
            reason = f"{strength!r} is not a number"
            raise typer.BadParameter(reason, param_hint="--map") from None
        return text, None


def load_model_of(maps: SteeringMaps, where: str) -> LanguageModel | TextToImageModel:
    """Load the model that maps were learnt on.

    Args:
        maps: the maps.
        where: name of the maps, for the error.

    Raises:
        UserError: the maps do not name a model, do not fit it, or it cannot be read.
    """
    name = maps.metadata.get("model")
    if not name:
        raise UserError(
            "E_MODEL",
            "the map does not state which model it was learnt on",
            where=where,
            remedy="Use a map saved by `lineas learn`.",
        )
    model = load_model(name, progress=on_change(report))
    check_fits(maps, model)
    return model


def load_language_model(name: str, device: str | None = None) -> LanguageModel:
    """Load a model that writes texts.

    Raises:
        UserError: it paints pictures, or cannot be read.
    """
    model = load_model(name, device=device, progress=on_change(report))
    if not isinstance(model, LanguageModel):
        remedy = "Choose a language model, such as smollm2-135m."
        raise UserError("E_MODEL", f"{name} paints pictures", remedy=remedy)
    return model


def load_noted(place: str) -> SteeringMaps:
    """Load maps, and print a note if their values are implausible.

    Raises:
        UserError: there is no usable map.
    """
    maps = load_maps(place)
    if reason := describe_implausible(maps):
        typer.echo(f"note: {place}: {reason}; it may steer a model badly", err=True)
    return maps
