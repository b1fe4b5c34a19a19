"""What the form of the Learn tab does: prompts and settings in, jobs out."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import gradio as gr

from lineas_core import BUDGETS, PromptSet, UserError
from lineas_core.models.catalog import MODELS

from ..events import user_errors
from ..html import basics
from ..html import maps as map_html
from ..jobs.job import JobRequest
from ..studio.studio import Studio
from . import html as learn_html
from .form import (
    _AIMS,
    _FILLED,
    _STEPWISE,
    ENOUGH,
    OF_THE_SET,
    PREVIEWS,
    SETTINGS,
    _config,
    _counted,
    _filled,
    _lines,
    _method,
    _shown,
    _title,
    aims,
    budgets,
    kind_of,
)
from .job_handlers import job_menu

__all__ = ["FormHandlers"]


class FormHandlers:
    """The events of the form, and its typed endpoint for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def count(self, model: str, text: str) -> str:
        """How many prompts a box holds, what is wrong with them, words new to the model."""
        found, problems = _counted(text)
        unknown = self._studio.models.unknown_words(model, text or "")
        return learn_html.counter(found, (*problems, *map_html.not_learnt(unknown)), ENOUGH)

    def sets(self, model: str) -> list[tuple[str, str]]:
        """The shipped sets for a model, as (title, stem)."""
        return [(title, stem) for stem, title in self._studio.prompts.sets(kind_of(model)).items()]

    def starts_with(self) -> str:
        """The model in the form at first: one for what the page opens on."""
        kind = self._studio.opens_on()
        return next(name for name, entry in MODELS.items() if entry.kind == kind)

    @user_errors
    def fit(self, model: str, preview_prompt: str, method: str, budget: str) -> tuple[Any, ...]:
        """What depends on the model: shipped sets, aims, preview prompt, budgets, settings.

        A budget that does not fit the model gives way to the first one, with its settings.
        """
        ours = (preview_prompt or "") in ("", *PREVIEWS.values())
        names = [name for _, name in budgets(model)]
        stays = budget in names or method != _STEPWISE
        return (
            gr.Dropdown(self.sets(model), value=None),
            gr.Dropdown(aims(model), value=aims(model)[0]),
            PREVIEWS[kind_of(model)] if ours else gr.skip(),
            gr.Radio(budgets(model), value=budget if budget in names else names[0]),
            *((gr.skip(),) * len(SETTINGS) if stays else self.budget(names[0])),
        )

    @user_errors
    def load_set(self, model: str, stem: str | None) -> tuple[Any, ...]:
        """A shipped set.

        Returns:
            Title, both boxes, held-out prompts, preview, what is known of it, and the settings
            that suit it.
        """
        return (
            _filled(self._studio.prompts.set_of(stem), model) if stem else (gr.skip(),) * _FILLED
        )

    @user_errors
    def write_set(self, model: str, word: str, aim: str) -> tuple[Any, ...]:
        """A set about one thing, from templates; likewise."""
        kind = kind_of(model)
        if aim not in _AIMS[kind]:
            remedy = f"Choose one of {', '.join(_AIMS[kind])}."
            raise UserError("E_AIM", f"{aim!r} is nothing to aim at", remedy=remedy)
        template, remove = _AIMS[kind][aim]
        prompts = self._studio.prompts.about(word or "", template, kind, remove=remove)
        return _filled(prompts, model)

    @user_errors
    def read_set(self, model: str, path: str) -> tuple[Any, ...]:
        """A file with both sides, likewise."""
        return _filled(PromptSet.load(path), model)

    @user_errors
    def read_side(self, path: str) -> str:
        """A file with one side."""
        file = Path(path)
        prompts, _ = PromptSet.parse_side(file.read_bytes(), file.name)
        return _lines(prompts)

    @user_errors
    def budget(self, name: str) -> tuple[Any, ...]:
        """The settings of a named budget, in the order of `SETTINGS`; the others stay."""
        shown = _shown(BUDGETS[name])
        return tuple(
            gr.skip() if each in OF_THE_SET else shown.get(each, gr.skip()) for each in SETTINGS
        )

    @user_errors
    def suit(self, method: str) -> tuple[Any, ...]:
        """What depends on the method: budgets, then the settings; those of others are hidden."""
        shown = _shown(_method(method).config)
        return gr.Radio(visible=method == _STEPWISE, value=next(iter(BUDGETS))), *(
            gr.update(visible=True, **({} if name in OF_THE_SET else {"value": shown[name]}))
            if name in shown
            else gr.update(visible=False)
            for name in SETTINGS
        )

    @user_errors
    def estimate(
        self,
        method: str,
        model: str,
        source: str,
        heldout: int | None,
        iterations: int | None,
        batch: int | None,
    ) -> str:
        """About how long learning takes."""
        prompts = max(_counted(source)[0] - (heldout or 0), 0) or ENOUGH
        if method != _STEPWISE:  # a pass or two of either side, and as many to measure
            iterations, batch = 1, None
        prompts = min(prompts, batch or inf)
        each = self._studio.jobs.pace(model) * prompts
        spent = basics.clock(max(each * (iterations or 0), 1))
        how = f", {heldout} more held out" if heldout else ""
        how += "" if method == _STEPWISE else ", without iterations"
        return basics.hint(f"About {spent} with {prompts} prompts a side{how}.")

    @user_errors
    def start(
        self,
        title: str,
        model: str,
        method: str,
        source: str,
        target: str,
        heldout: int,
        preset: str,
        preview_prompt: str,
        known: dict[str, Any] | None,
        *settings: Any,
    ) -> Any:
        """Queue a job.

        Args:
            title: what to call the map.
            model: what to learn on.
            method: what learns.
            source: prompts to steer away from, one per line.
            target: prompts to steer towards, one per line.
            heldout: how many of the last ones on each side are only measured on.
            preset: layer preset or module pattern; empty for the model's own.
            preview_prompt: continued now and then; empty: never.
            known: what is known of the set that the boxes were filled from, if any.
            *settings: those of all methods, in the order of `SETTINGS`.

        Returns:
            The menu of jobs, the new one chosen.
        """
        prompts = PromptSet.from_texts(source or "", target or "").holdout(heldout or 0)
        if known and known["boxes"] == [source, target]:  # nobody has changed them since
            about = {k: known[k] for k in ("description", "kind")}
            prompts = replace(prompts, **about, keywords=tuple(known["keywords"]))
        request = JobRequest(
            title=_title(title),
            model=model,
            prompts=prompts,
            config=_config(_method(method), settings),
            method=method,
            preset=preset or None,
            preview_prompt=(preview_prompt or "").strip(),
        )
        job_id = self._submit(request)
        for note in prompts.notes:
            gr.Warning(basics.safe(f"{note[0].upper()}{note[1:]}."))
        return job_menu(self._studio.jobs.list(), job_id)

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
        both_ways: bool = False,
        identity_loss: bool = False,
        shift_only: bool = False,
    ) -> str:
        """Learn a map in the background.

        Args:
            title: what to call the map.
            source: prompts to steer away from, 2 or more, better 32.
            target: prompts to steer towards, 2 or more, better 32.
            model: an installed model of the catalog.
            budget: quick, normal, thorough, paper (language) or paper (DMD2).
            heldout: number of prompts a side that are kept for measuring.
            method: lineas; or lin-act, mean-act, iti-c, caa, caa-mid or aura, which have no
                iterations and so no budget.
            both_ways: of lineas, whether what negative strengths do is learnt, too; for styles
                of pictures.
            identity_loss: of lineas, whether target prompts are to stay as they are; for manners
                of speech such as toxicity.
            shift_only: of lineas, whether maps do not scale; for the same.

        Returns:
            The id of the job, for `job`; when it is done also the id of the map.
        """
        if budget not in BUDGETS:
            remedy = f"Give one of {', '.join(BUDGETS)}."
            raise UserError("E_BUDGET", f"budget is {budget!r}", remedy=remedy)
        suited = (both_ways, identity_loss, shift_only)
        if method != _STEPWISE and (any(suited) or budget != next(iter(BUDGETS))):
            named = ", no ".join(OF_THE_SET)
            what = f"{_method(method).label} has no iterations, so no budget, no {named}"
            raise UserError("E_BUDGET", what, remedy=f"Leave these out, or take {_STEPWISE}.")
        config = (
            replace(BUDGETS[budget], **dict(zip(OF_THE_SET, suited, strict=True)))
            if method == _STEPWISE
            else _method(method).config
        )
        for name, side in (("source", source), ("target", target)):
            if not isinstance(side, list) or not all(isinstance(text, str) for text in side):
                what = f"{name} is {side!r:.60}"
                raise UserError("E_PROMPTS", what, remedy="Give a list of texts.")
        prompts = PromptSet.from_texts(_lines(source), _lines(target)).holdout(heldout)
        return self._submit(JobRequest(_title(title), model, prompts, config, method=method))

    def _submit(self, request: JobRequest) -> str:
        known = {*MODELS, *(entry.model for entry in self._studio.maps())}
        if request.model not in known:
            remedy = f"Give one of {', '.join(MODELS)}."
            raise UserError("E_MODEL", f"model is {request.model!r:.60}", remedy=remedy)
        self._studio.models.require(request.model)
        return self._studio.jobs.submit(request)
