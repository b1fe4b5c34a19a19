"""Checks of options before a model is loaded, and errors under the names of options."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import typer

from lineas_core.errors import UserError
from lineas_core.methods import METHODS
from lineas_core.methods.method import check_kind
from lineas_core.models import files_here, kind_of
from lineas_core.models.catalog import MODELS, Kind
from lineas_core.models.denoising import Denoising
from lineas_core.steering.presets import LATE

__all__ = [
    "check_denoising",
    "check_learning",
    "known_kind",
    "message_of",
    "no_chat",
    "no_pictures",
    "none_for_texts",
    "status_of",
]

_OPTIONS = {"learn_at": "denoising-step", "steer_at": "steer-steps"}
_SETTINGS = ("E_SAMPLING", "E_SETTING")  # errors that begin with a setting and its value
_MOST_STEPS = 1000


def message_of(error: UserError) -> str:
    """Return the message of an error, with the name and the form of an option for a setting."""
    found = re.match(r"(\w+) is ([\[(][\d, -]*[\])])?", error.what)
    if error.code not in _SETTINGS or not found:
        return str(error)
    name, places = found.groups()
    told = f"--{_OPTIONS.get(name, name.replace('_', '-'))} is "
    if places:
        told += ("-" if name == "steer_at" else ",").join(re.findall(r"-?\d+", places))
    return told + str(error)[found.end() :]


def status_of(error: UserError) -> int:
    """Return the exit status for an error: 2 if an option or its value does not fit, else 1."""
    return 2 if error.code in (*_SETTINGS, "E_METHOD") else 1


def known_kind(name: str) -> Kind | None:
    """Return the kind of a model without loading it; None if it is not on this machine."""
    return kind_of(name) if name in MODELS or files_here(name) else None


def none_for_texts(name: str, **settings: object) -> None:
    """Refuse options for texts on the model `name`, which paints; None was not given.

    Raises:
        UserError: one was given.
    """
    if given := [setting for setting, value in settings.items() if value is not None]:
        options = ", ".join(f"--{setting.replace('_', '-')}" for setting in given)
        what = f"{name} makes pictures, which take no {options}"
        raise UserError("E_SETTING", what, remedy="Leave out the options for texts.")


def no_chat(name: str) -> UserError:
    """Return the error for turns of a chat on the model `name`, which paints."""
    remedy = "Leave out --chat, or choose an instruct model."
    return UserError("E_CHAT", f"{name} makes pictures and has no chat template", remedy=remedy)


def no_pictures(name: str) -> UserError:
    """Return the error for denoising steps on the model `name`, which writes texts."""
    what = f"{name} writes texts, which take no denoising steps"
    return UserError("E_SETTING", what, remedy="Leave out the options for pictures.")


def check_denoising(name: str, settings: Mapping[str, Any]) -> None:
    """Refuse settings of `TextToImageModel.with_denoising` that a model surely does not have.

    Args:
        name: name of the model, of which no file is read.
        settings: None was not given.

    Raises:
        UserError: the model writes texts, or does not have one of them.
    """
    given = {setting: value for setting, value in settings.items() if value is not None}
    if not given:
        return
    if known_kind(name) == "language":
        raise no_pictures(name)
    painting = MODELS[name].painting if name in MODELS else None
    timesteps = painting.timesteps if painting else None
    steps = painting.num_inference_steps if painting else None
    # A number of steps or a guidance that only the pipeline knows is checked once it is loaded.
    Denoising(len(timesteps or ()) or steps or _MOST_STEPS, 0.0, timesteps).changed(name, **given)


def check_learning(
    name: str,
    method: str,
    modules: str | None,
    given: Mapping[str, Any],
    steps: Mapping[str, Any],
    *,
    chat: bool,
) -> None:
    """Refuse options of `learn` that the model or the method surely does not take.

    Args:
        name: name of the model.
        method: key of `METHODS`.
        modules: layer preset or pattern.
        given: settings of the method.
        steps: as in `check_denoising`.
        chat: whether prompts are turns of a chat.

    Raises:
        UserError: the model does not take the method or a setting.
        typer.BadParameter: an option does not fit the method, or is malformed.
    """
    check_denoising(name, steps)
    if kind := known_kind(name):
        if chat and kind == "text-to-image":
            raise no_chat(name)
        check_kind(METHODS[method], name, kind, chat=chat)
        if kind == "language" and given.get("compare") == "output":
            raise typer.BadParameter("output is for pictures", param_hint="--compare")
    if len(steps["learn_at"] or ()) > 1 and not METHODS[method].iterative:
        raise typer.BadParameter(f"{method} takes one step", param_hint="--denoising-step")
    try:
        re.compile((modules or "").removeprefix(LATE))
    except re.error as error:
        reason = f"{modules!r} is not a regular expression ({error})"
        raise typer.BadParameter(reason, param_hint="--modules") from None
