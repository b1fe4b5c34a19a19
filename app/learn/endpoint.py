"""The typed endpoint of the Learn tab for programs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lineas_core import BUDGETS, FitConfig, PromptSet, UserError
from lineas_core.learning.suited import suited_settings
from lineas_core.methods import LINEAS
from lineas_core.models.catalog import MODELS
from lineas_core.models.locations import on_the_hub

from ..events import changes, user_errors, visitor
from ..jobs.job import JobRequest
from ..studio.steps import checked_steps, learning_steps
from ..studio.studio import Studio
from .boxes import lines
from .form import check_steers, method_of, title_of

__all__ = ["LearnEndpoint"]


class LearnEndpoint:
    """Learns for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @changes
    @user_errors
    def learn(
        self,
        title: str,
        source: list[str],
        target: list[str],
        model: str = next(iter(MODELS)),
        budget: str = "quick",
        heldout: int = 0,
        method: str = "lineas",
        both_ways: bool | None = None,
        identity_loss: bool | None = None,
        shift_only: bool | None = None,
        support: float | None = None,
        sparsity: float | None = None,
        modules: str | None = None,
        learn_at: list[int] | None = None,
        steps: int | None = None,
        guidance: float | None = None,
    ) -> str:
        """Learn a map in the background.

        Args:
            title: name of the map.
            source: prompts to steer away from, 2 or more, preferably 32.
            target: prompts to steer towards, 2 or more, preferably 32.
            model: a model of the catalog, `owner/name` or `owner/name@revision` on the hub, or
                a folder of the server. What the hub has is downloaded when the job starts.
            budget: quick, normal, thorough, paper (language) or paper (DMD2).
            heldout: number of prompts per side that are kept for measuring.
            method: lineas; or lin-act, mean-act, iti-c, caa, caa-mid, aura, reft, lofit-rl or
                lrtc-rl, which take no budget. The last three are for texts; lofit-rl and lrtc-rl
                learn from a judge of insults.
            both_ways: lineas only: also learn the direction for λ < 0. None: on for emoji-world
                beyond the quick budget.
            identity_loss: lineas only: keep target prompts where they are; recommended for tone,
                such as toxicity. None: on for emoji-world.
            shift_only: lineas only: learn shifts without scales; recommended for tone. None: off.
            support: lineas and caa: share of the coordinates that may be steered, those that
                differ most, above 0 to 1. None: 1.
            sparsity: lineas only: γ, 0 to 10; the larger it is, the fewer coordinates are steered.
                None: 0.
            modules: layer preset or regular expression for module names, with `late-` before it
                for the last third of the modules; None: the model's.
            learn_at: pictures only: numbers of the denoising steps at which the map is learnt,
                from 0; with several, their mean. None: the first.
            steps: pictures only: number of denoising steps, 1 to 100. None: the model's.
            guidance: pictures only: guidance scale, 0 to 100. None: the model's.

        Returns:
            The id of the job, for `job`; once it is done, also the id of the map.
        """
        given = {
            "both_ways": both_ways,
            "identity_loss": identity_loss,
            "shift_only": shift_only,
            "support": support,
            "sparsity": sparsity,
        }
        model = self._studio.models.checked(model)
        if not on_the_hub(model):
            self._studio.models.require(model)
        config = _config(model, method, budget, given)
        for name, side in (("source", source), ("target", target)):
            if not isinstance(side, list) or not all(isinstance(text, str) for text in side):
                what = f"{name} is {side!r:.60}"
                raise UserError("E_PROMPTS", what, remedy="Give a list of texts.")
        prompts = PromptSet.from_texts(lines(source), lines(target)).holdout(heldout)
        check_steers(method, model)
        denoising = learning_steps(model, learn_at or (), checked_steps(steps, guidance))
        request = JobRequest(
            title_of(title), model, prompts, config, modules, method=method, denoising=denoising
        )
        return self._studio.jobs.submit(request, visitor())


def _config(model: str, method: str, budget: str, given: dict[str, Any]) -> FitConfig:
    """Return the settings that a program asks for.

    Args:
        model: name of the model.
        method: a key of `METHODS`.
        budget: a key of `BUDGETS`.
        given: settings by name; those that are None suit the model.

    Raises:
        UserError: the budget does not exist, or the method has no such settings.
    """
    if budget not in BUDGETS:
        remedy = f"Give one of {', '.join(BUDGETS)}."
        raise UserError("E_BUDGET", f"budget is {budget!r:.60}", remedy=remedy)
    chosen, found = {k: v for k, v in given.items() if v is not None}, method_of(method)
    if found.iterative:
        return replace(suited_settings(model, budget=budget)[0], **chosen)
    lacking = [name for name in given if not hasattr(found.config, name)]
    if any(chosen.get(name) for name in lacking) or budget != next(iter(BUDGETS)):
        named = ", no ".join(lacking)
        what = f"{found.label} has no iterations and takes no budget, no {named}"
        remedy = f"Leave these out, or choose {LINEAS}."
        raise UserError("E_BUDGET", what, remedy=remedy)
    return replace(found.config, **{k: v for k, v in chosen.items() if k not in lacking})
