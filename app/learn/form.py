"""Settings, budgets and prompt sets of the form in the Learn tab. No gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from math import prod
from typing import Any, NamedTuple

from lineas_core import BUDGETS, FitConfig, PromptSet, UserError, models
from lineas_core.learning.suited import suited_settings
from lineas_core.methods import METHODS, Method
from lineas_core.models.catalog import MODELS, Kind
from lineas_core.prompts.matching import describe_matching

from ..studio.user_maps import LONGEST_TITLE, tidy
from .boxes import lines

__all__ = [
    "ENOUGH",
    "PREVIEWS",
    "SETTINGS",
    "SUITED",
    "FilledForm",
    "aim_of",
    "aims",
    "budgets",
    "check_steers",
    "duration",
    "config_of",
    "fill",
    "in_steps",
    "kind_of",
    "layout_of",
    "matching",
    "method_of",
    "methods",
    "suited_values",
    "title_of",
    "values_of",
]


PREVIEWS: dict[Kind, str] = {
    "language": "Once upon a time",
    "text-to-image": "A castle by a lake",
}
"""Default preview prompt of a job, by kind of model."""
ENOUGH = 32
"""Recommended number of prompts per side, as in the paper."""
SETTINGS = [*dict.fromkeys(field.name for m in METHODS.values() for field in fields(m.config))]
"""Names of the settings of all methods."""
SUITED = (
    "both_ways",
    "identity_loss",
    "shift_only",
    "compare",
    "fresh_noise",
    "batch_size",
    "learning_rate",
    "optimizer",
)
"""Settings that depend on the model and the prompt set, see `lineas_core.suited`."""
_OTHER_KIND = {"language": "DMD2", "text-to-image": "language"}  # in names of unsuitable budgets
_AIMS: dict[Kind, dict[str, tuple[str, bool]]] = {  # -> template, and whether to remove
    "language": {"write about it": ("about", False), "avoid it": ("about", True)},
    "text-to-image": {
        "remove an object": ("thing", True),
        "add an object": ("thing", False),
        "remove a style": ("style", True),
        "add a style": ("style", False),
    },
}


class FilledForm(NamedTuple):
    """The parts of the form that a prompt set fills in.

    Attributes:
        title: name of the map.
        source: prompts to steer away from, one per line, the held-out ones last.
        target: prompts to steer towards, likewise.
        heldout: number of held-out prompts per side.
        preview_prompt: prompt of the previews.
        known: facts about the set that the form does not show: description, kind, keywords and
            layout, and the content of both boxes, to detect changes.
        both_ways: the value of this setting that suits the set, like all that follow.
        identity_loss: see above.
        shift_only: see above.
        compare: see above.
        fresh_noise: see above.
        batch_size: see above.
        learning_rate: see above.
        optimizer: see above.
    """

    title: Any
    source: Any
    target: Any
    heldout: Any
    preview_prompt: Any
    known: Any
    both_ways: Any
    identity_loss: Any
    shift_only: Any
    compare: Any
    fresh_noise: Any
    batch_size: Any
    learning_rate: Any
    optimizer: Any


def budgets(model: str) -> list[tuple[str, str]]:
    """Return the budgets that suit a model, as pairs of menu label and name."""
    return [
        (f"{name} · {config.iterations} iterations", name)
        for name, config in BUDGETS.items()
        if _OTHER_KIND[kind_of(model)] not in name
    ]


def kind_of(model: str) -> Kind:
    """Return the kind of a model; one that is not on this machine is a language model."""
    return models.kind_of(model)


def in_steps(model: str) -> bool:
    """Return whether a model paints, and is not known to do so in one step."""
    painting = MODELS[model].painting if model in MODELS else None
    steps = painting and (len(painting.timesteps or ()) or painting.num_inference_steps)
    return kind_of(model) == "text-to-image" and steps != 1


def method_of(name: str) -> Method:
    """Return the method with a name.

    Raises:
        UserError: there is no such method.
    """
    if name not in METHODS:
        remedy = f"Give one of {', '.join(METHODS)}."
        raise UserError("E_METHOD", f"method is {name!r:.60}", remedy=remedy)
    return METHODS[name]


def duration(method: Method, counts: Sequence[int | None]) -> tuple[float, int | None]:
    """Return how many iterations of LinEAS learning takes as long as, and their batch size.

    Args:
        method: the method.
        counts: the settings iterations, batch_size, epochs and ppo_epochs; None while typing.
    """
    iterations, batch, *passes = counts
    if method.iterative:
        return iterations or 0, batch
    usual = [getattr(method.config, name, None) for name in ("epochs", "ppo_epochs")]
    longer = prod((n or 0) / often for n, often in zip(passes, usual, strict=True) if often)
    return method.passes * longer, None


def methods(model: str) -> list[tuple[str, str]]:
    """Return the methods that can steer a model, as pairs of menu label and name."""
    kind = kind_of(model)
    return [(method.title, name) for name, method in METHODS.items() if kind in method.kinds]


def check_steers(name: str, model: str) -> None:
    """Refuse a method that cannot steer a model.

    Raises:
        UserError: it cannot.
    """
    method, kind = method_of(name), kind_of(model)
    if kind not in method.kinds:
        what = f"{method.label} cannot steer a {kind} model"
        raise UserError("E_METHOD", what, remedy="Choose another method, or another model.")


def config_of(method: Method, values: Sequence[Any]) -> FitConfig:
    """Return the settings of a method from the values of the form.

    Args:
        method: the method; the settings of other methods are ignored.
        values: one value per name in `SETTINGS`; an empty number box gives 0, which means None.
    """
    chosen, own = dict(zip(SETTINGS, values, strict=True)), fields(method.config)
    given = {field.name: chosen[field.name] for field in own}
    empty = {field.name: None for field in own if field.default is None and not given[field.name]}
    return replace(method.config, **{**given, **empty})


def values_of(config: FitConfig) -> dict[str, Any]:
    """Return settings as values of the form, where 0 means None."""
    return {name: 0 if value is None else value for name, value in asdict(config).items()}


def matching(model: str, source: Sequence[str], target: Sequence[str]) -> str:
    """Say whether the sides are matched, for a picture model; empty for texts."""
    if kind_of(model) != "text-to-image":
        return ""
    return describe_matching(source, target)


def layout_of(known: dict[str, Any] | None) -> str:
    """Return the layout of the set that filled the boxes, see `PromptSet.layout`."""
    return known["layout"] if known else ""


def aims(model: str) -> list[str]:
    """Return the aims that a set about one concept can have with a model."""
    return [*_AIMS[kind_of(model)]]


def aim_of(model: str, name: str) -> tuple[str, bool]:
    """Return the template of an aim, and whether the concept is to be removed.

    Raises:
        UserError: the aim does not exist for this kind of model.
    """
    possible = _AIMS[kind_of(model)]
    if name not in possible:
        remedy = f"Choose one of {', '.join(possible)}."
        raise UserError("E_AIM", f"aim is {name!r:.60}", remedy=remedy)
    return possible[name]


def suited_values(model: str, known: dict[str, Any] | None, budget: str) -> dict[str, Any]:
    """Return the settings of a budget that suit a model and a prompt set, as values of the form.

    Args:
        model: name of the model.
        known: facts about the set, see `FilledForm`; None for prompts of the user.
        budget: a key of `BUDGETS`.
    """
    kind = known["kind"] if known else ""
    config, _ = suited_settings(model, kind, budget)
    return values_of(config)


def fill(prompts: PromptSet, model: str, budget: str) -> FilledForm:
    """Fill the form with a prompt set.

    Held-out prompts come last, where `PromptSet.holdout` takes them. For pictures the preview
    prompt is a source prompt, so that the previews show the concept disappear.
    """
    source = lines(prompts.source + prompts.heldout_source)
    target = lines(prompts.target + prompts.heldout_target)
    known = {
        "boxes": [source, target],
        "description": prompts.description,
        "kind": prompts.kind,
        "keywords": [*prompts.keywords],
        "layout": prompts.layout,
    }
    kind = kind_of(model)
    values = suited_values(model, known, budget)
    scene = (*prompts.heldout_source, *prompts.source)[0] if kind == "text-to-image" else ""
    return FilledForm(
        prompts.name,
        source,
        target,
        heldout=min(len(prompts.heldout_source), len(prompts.heldout_target)),
        preview_prompt=scene or PREVIEWS[kind],
        known=known,
        **{name: values[name] for name in SUITED},
    )


def title_of(text: str | None) -> str:
    """Return a title of valid length; an empty one becomes Untitled."""
    return tidy(text)[:LONGEST_TITLE] or "Untitled"
