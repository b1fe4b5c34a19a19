"""What suits a model and a prompt set: settings, and the layers to steer."""

from __future__ import annotations

from typing import Any

from lineas_core.errors import UserError
from lineas_core.learning.config import BUDGETS, FitConfig, LearnConfig, suited_config
from lineas_core.models.base import SteerableModel
from lineas_core.models.catalog import MODELS
from lineas_core.prompts.prompt_set import PromptSet

__all__ = ["suited", "suited_preset", "suited_settings"]


def suited(model: SteerableModel, prompts: PromptSet, budget: str = "quick") -> dict[str, Any]:
    """Return the keyword arguments of `learn` that suit a model and a prompt set.

    With them `learn` learns what the command line and the page learn by default:

        maps = learn(model, data.source, data.target, **suited(model, data))

    Args:
        model: the model to learn on.
        prompts: the set to learn from; its `kind` counts.
        budget: a key of `BUDGETS`.

    Returns:
        `config`; `modules`, a layer preset, or None for the default of the model; and `heldout`.

    Raises:
        UserError: there is no such budget.
    """
    keeps_layout = model.keeps_layout
    config, preset = suited_settings(model.name, prompts.kind, budget, keeps_layout=keeps_layout)
    heldout = prompts.heldout_source, prompts.heldout_target
    return {"config": config, "modules": preset or None, "heldout": heldout}


def suited_settings(
    model: str,
    kind: str = "",
    budget: str = "quick",
    *,
    modules: str = "",
    keeps_layout: bool | None = None,
) -> tuple[LearnConfig, str]:
    """Return settings and layers like `suited`, for a model that need not be loaded.

    Args:
        model: name of the model.
        kind: `PromptSet.kind`; empty if unknown.
        budget: a key of `BUDGETS`.
        modules: layer preset or pattern that the user has chosen; empty for those that suit.
        keeps_layout: as in `SteerableModel`; None is what the catalog says.

    Returns:
        The settings, and a layer preset or pattern; empty for the default of the model.

    Raises:
        UserError: there is no such budget.
    """
    if budget not in BUDGETS:
        remedy = f"Give one of {', '.join(BUDGETS)}."
        raise UserError("E_BUDGET", f"budget is {budget!r:.60}", remedy=remedy)
    if keeps_layout is None:
        keeps_layout = model in MODELS and MODELS[model].keeps_layout
    preset = "" if modules else suited_preset(model, kind, BUDGETS[budget])
    config = suited_config(kind, budget, keeps_layout=keeps_layout, preset=preset)
    return config, modules or preset


def suited_preset(model: str, kind: str, config: FitConfig) -> str:
    """Return the layer preset that suits a concept; empty for the default of the model.

    Args:
        model: a key of `MODELS`; others have no preset that suits a concept.
        kind: `PromptSet.kind`.
        config: settings of the run; the paper's loss keeps the default layers, as in the paper.
    """
    of_the_paper = isinstance(config, LearnConfig) and not config.standardise
    if kind != "topic" or model not in MODELS or of_the_paper:
        return ""
    return MODELS[model].topic_preset
