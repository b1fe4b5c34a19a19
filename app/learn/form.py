"""What the form of the Learn tab holds: settings, budgets, prompt sets. No gradio."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from typing import Any

from lineas_core import BUDGETS, FitConfig, PromptSet, UserError
from lineas_core.methods import METHODS, Method
from lineas_core.models.catalog import MODELS, Kind

from ..studio.user_maps import LONGEST_TITLE, tidy

__all__ = ["OF_THE_SET", "PREVIEWS", "SETTINGS", "aims", "budgets", "kind_of"]


PREVIEWS: dict[Kind, str] = {
    "language": "Once upon a time",
    "text-to-image": "A castle by a lake",
}
"""What a job continues or paints on the way, unless told otherwise."""
_ELSEWHERE = {"language": "DMD2", "text-to-image": "language"}  # in the names of budgets
ENOUGH = 32  # prompts a side, as in the paper
SETTINGS = [*dict.fromkeys(field.name for m in METHODS.values() for field in fields(m.config))]
"""The fields of the settings of all methods."""
OF_THE_SET = ("both_ways", "identity_loss", "shift_only")
"""Settings that stay when the budget or the method changes."""
_FILLED = 6 + len(OF_THE_SET)  # what a set fills in the form
_AIMS: dict[Kind, dict[str, tuple[str, bool]]] = {  # -> templates, and whether to remove
    "language": {"write about it": ("about", False), "keep off it": ("about", True)},
    "text-to-image": {
        "take a thing out": ("thing", True),
        "put a thing in": ("thing", False),
        "take a style away": ("style", True),
        "bring a style in": ("style", False),
    },
}


def budgets(model: str) -> list[tuple[str, str]]:
    """The named settings that fit a model, as (what a menu shows, name)."""
    return [
        (f"{name} · {config.iterations} iterations", name)
        for name, config in BUDGETS.items()
        if _ELSEWHERE[kind_of(model)] not in name
    ]


def kind_of(model: str) -> Kind:
    """What a model makes."""
    return MODELS[model].kind if model in MODELS else "language"


def _method(name: str) -> Method:
    if name not in METHODS:
        remedy = f"Give one of {', '.join(METHODS)}."
        raise UserError("E_METHOD", f"method is {name!r:.60}", remedy=remedy)
    return METHODS[name]


def _config(method: Method, settings: Sequence[Any]) -> FitConfig:
    """The settings of a method, of what the form holds; an empty box comes as 0."""
    chosen, own = dict(zip(SETTINGS, settings, strict=True)), fields(method.config)
    given = {field.name: chosen[field.name] for field in own}
    empty = {field.name: None for field in own if field.default is None and not given[field.name]}
    return replace(method.config, **{**given, **empty})


def _shown(config: FitConfig) -> dict[str, Any]:
    """Settings as the form shows them: 0 stands for None."""
    return {name: 0 if value is None else value for name, value in asdict(config).items()}


def _counted(text: str | None) -> tuple[int, tuple[str, ...]]:
    """Number of prompts in a box, and its problems."""
    try:
        data = (text or "").encode("utf-8", "surrogatepass")
        prompts, dropped = PromptSet.parse_side(data, "prompts.txt")
    except UserError as error:
        return 0, (str(error),)
    return len(prompts), dropped


def aims(model: str) -> list[str]:
    """What a set about one thing can be for, with a model."""
    return [*_AIMS[kind_of(model)]]


def _filled(prompts: PromptSet, model: str) -> tuple[Any, ...]:
    """Held-out prompts stand at the end of the boxes, where `PromptSet.holdout` takes them.

    A picture on the way is to show what is taken out or brought in, so it is one of the source
    side; a text may begin anyhow.
    """
    held = min(len(prompts.heldout_source), len(prompts.heldout_target))
    source, target = (
        prompts.source + prompts.heldout_source,
        prompts.target + prompts.heldout_target,
    )
    boxes = [_lines(source), _lines(target)]
    known = {
        "boxes": boxes,
        "description": prompts.description,
        "kind": prompts.kind,
        "keywords": [*prompts.keywords],
    }
    kind = kind_of(model)
    painted = (*prompts.heldout_source, *prompts.source)[0] if kind == "text-to-image" else ""
    suited = (prompts.settings[name] for name in OF_THE_SET)
    return prompts.name, *boxes, held, painted or PREVIEWS[kind], known, *suited


def _lines(prompts: Sequence[str]) -> str:
    return "\n".join(" ".join(prompt.splitlines()) for prompt in prompts)


def _title(text: str | None) -> str:
    return tidy(text)[:LONGEST_TITLE] or "Untitled"
