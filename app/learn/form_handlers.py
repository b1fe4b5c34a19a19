"""Event handlers of the form in the Learn tab."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple

import gradio as gr

from lineas_core import BUDGETS, PromptSet, UserError
from lineas_core.methods import LINEAS
from lineas_core.models.vocabulary import describe_unknown
from lineas_core.prompts.prompt_set import MIN_PROMPTS

from ..events import LatestRequest, changes, latest_only, user_errors, visitor
from ..html import basics
from ..jobs.job import JobRequest
from ..studio.steps import Steps, checked_places, learning_steps
from ..studio.studio import Studio
from ..widgets.menu import menu
from . import html as learn_html
from .boxes import count_prompts, prompts_in, set_in
from .choices import chooses, unless_chosen
from .form import (
    ENOUGH,
    PREVIEWS,
    SETTINGS,
    SUITED,
    FilledForm,
    aim_of,
    aims,
    budgets,
    check_steers,
    config_of,
    duration,
    fill,
    in_steps,
    kind_of,
    layout_of,
    matching,
    method_of,
    methods,
    suited_values,
    title_of,
    values_of,
)
from .job_handlers import job_menu

__all__ = ["FILLED", "FormHandlers", "fill_for"]

FILLED = slice(len(FilledForm._fields) - len(SUITED), len(FilledForm._fields))
"""Where the settings are among the fields of `FilledForm`."""
_MODELS = LatestRequest()  # choices of a model


class ModelView(NamedTuple):
    """The parts of the form, besides the settings, that depend on the model."""

    sets: object
    aim: object
    preview_prompt: object
    method: object
    budget: object
    timing: object


_VIEW = len(ModelView._fields)


def fill_for(prompts: PromptSet, model: str, method: str, budget: str) -> FilledForm:
    """Fill the form with a prompt set; the settings of a method without budgets stay."""
    filled = fill(prompts, model, budget)
    if method_of(method).iterative:
        return filled
    return filled._replace(**{name: gr.skip() for name in SUITED})


class FormHandlers:
    """The event handlers of the form."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def count(self, model: str, text: str, known: dict[str, Any] | None = None) -> str:
        """Show the number of prompts in a box, their problems, and words unknown to the model."""
        found, problems = count_prompts(text, layout_of(known))
        unknown = self._studio.models.unknown_words(model, text or "")
        return learn_html.counter(found, (*problems, *describe_unknown(unknown)), ENOUGH)

    def sets(self, model: str) -> list[tuple[str, str]]:
        """List the shipped sets for a model as pairs of title and file stem."""
        return [(title, stem) for stem, title in self._studio.prompts.sets(kind_of(model)).items()]

    @latest_only(_MODELS)
    @unless_chosen(slice(_VIEW, None))
    @user_errors
    def choose_model(
        self,
        model: str,
        preview_prompt: str,
        method: str,
        budget: str,
        known: dict[str, Any] | None,
    ) -> tuple[Any, ...]:
        """Adapt the form to a model.

        A budget that does not suit the model is replaced by the first one and its settings, a
        method that cannot steer it by LinEAS, and an unchanged preview prompt by the default one.
        Of the settings, those change that depend on the model.

        Returns:
            The fields of `ModelView`, then a value for each of `SETTINGS`.
        """
        preview = PREVIEWS[kind_of(model)]
        replaceable = (preview_prompt or "") in ("", *PREVIEWS.values())
        names = [name for _, name in budgets(model)]
        keep, possible = budget in names, methods(model)
        # What stays is left out: the user may have chosen another one before the answer arrives.
        kept: dict[str, Any] = {} if keep else {"value": names[0]}
        chosen, method = method, method if method in dict(possible).values() else LINEAS
        view = ModelView(
            sets=gr.Dropdown(self.sets(model), value=None),
            aim=gr.Dropdown(aims(model), value=aims(model)[0]),
            preview_prompt=[preview_prompt, preview] if replaceable else gr.skip(),
            method=menu(possible, method, chosen),
            budget=gr.update(choices=budgets(model), **kept),
            timing=gr.update(visible=in_steps(model)),
        )
        if not method_of(method).iterative:
            return *view, *[gr.skip()] * len(SETTINGS)
        values = suited_values(model, known, budget if keep else names[0])
        changed = SUITED if keep else (*values,)
        return *view, *(values[name] if name in changed else gr.skip() for name in SETTINGS)

    @unless_chosen(FILLED)
    @user_errors
    def load_set(self, model: str, method: str, budget: str, stem: str | None) -> FilledForm:
        """Fill the form with a shipped set; without a choice it stays as it is."""
        if not stem:
            return FilledForm(*[gr.skip()] * len(FilledForm._fields))
        return fill_for(self._studio.prompts.set_of(stem), model, method, budget)

    @unless_chosen(FILLED)
    @user_errors
    def write_set(self, model: str, method: str, budget: str, word: str, aim: str) -> FilledForm:
        """Fill the form with a set about one concept, written from templates."""
        template, remove = aim_of(model, aim)
        kind = kind_of(model)
        prompts = self._studio.prompts.about(word or "", template, kind, remove=remove)
        return fill_for(prompts, model, method, budget)

    @chooses
    @user_errors
    def budget(self, name: str, model: str, known: dict[str, Any] | None) -> tuple[Any, ...]:
        """Return a value for each of `SETTINGS`: the one of the budget, or no change."""
        values = suited_values(model, known, name)
        return tuple(values.get(each, gr.skip()) for each in SETTINGS)

    @chooses
    @user_errors
    def choose_method(
        self, method: str, model: str, known: dict[str, Any] | None
    ) -> tuple[Any, ...]:
        """Show the settings of a method and hide those of the others.

        Returns:
            The budget, then an update for each of `SETTINGS`.
        """
        iterative, first = method_of(method).iterative, next(iter(BUDGETS))
        values = (
            suited_values(model, known, first)
            if iterative
            else values_of(method_of(method).config)
        )
        return gr.Radio(visible=iterative, value=first), *(
            gr.update(visible=True, value=values[name])
            if name in values
            else gr.update(visible=False)
            for name in SETTINGS
        )

    @user_errors
    def matching(
        self, model: str, source: str, target: str, known: dict[str, Any] | None = None
    ) -> str:
        """Show whether the sides of a set for pictures are matched, and what is not read."""
        told, cut, layout = "", "", layout_of(known)
        with suppress(UserError):  # the counter of the box shows it
            sides = prompts_in(source, layout)[0], prompts_in(target, layout)[0]
            cut = " ".join(self._studio.models.cut_prompts(model, *sides))
            prompts = set_in(source, target, layout)
            told = matching(model, prompts.source, prompts.target)
        return (basics.hint(told) if told else "") + basics.warning(cut)

    @user_errors
    def estimate(
        self, method: str, model: str, source: str, heldout: int | None, *counts: int | None
    ) -> str:
        """Estimate how long learning takes, for the form.

        Args:
            method: a key of `METHODS`.
            model: its model.
            source: the source prompts, one per line.
            heldout: how many of them are held out.
            *counts: the settings iterations, batch_size, epochs and ppo_epochs.
        """
        chosen, held = method_of(method), heldout or 0
        given = count_prompts(source)[0]
        if given and given - held < MIN_PROMPTS:
            return basics.hint(f"At least {MIN_PROMPTS} prompts must not be held out.")
        prompts = given - held if given else ENOUGH
        steps, batch = duration(chosen, counts)
        batch = min(prompts, batch or prompts)
        seconds = self._studio.jobs.pace(model) * batch * steps
        return learn_html.estimate(seconds, prompts, batch, held, in_one_pass=chosen.passes == 1)

    @changes
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
        learn_at: str,
        known: dict[str, Any] | None,
        *settings: Any,
    ) -> Any:
        """Queue a job.

        Args:
            title: name of the map.
            model: name of the model.
            method: name of the method.
            source: prompts to steer away from, one per line.
            target: prompts to steer towards, one per line.
            heldout: number of prompts at the end of each side that are only measured on.
            preset: layer preset or module pattern; empty for those that suit model and set.
            preview_prompt: prompt of the previews during learning; empty for none.
            learn_at: numbers of the denoising steps at which to learn; empty for the first, and
                not read for a model that has only one.
            known: facts about the set that filled the boxes, see `FilledForm`.
            *settings: a value for each of `SETTINGS`.

        Returns:
            The menu of jobs with the new job chosen.
        """
        model = self._studio.models.checked(model)
        self._studio.models.require(model)
        prompts = set_in(source, target, layout_of(known)).holdout(heldout or 0)
        if known:  # settings and modules suit this kind, also after a change to the boxes
            prompts = replace(prompts, kind=known["kind"])
        if known and known["boxes"] == [source, target]:  # still unchanged
            about = {"description": known["description"], "keywords": tuple(known["keywords"])}
            prompts = replace(prompts, **about)
        places = checked_places(learn_at) if in_steps(model) else []
        request = JobRequest(
            title=title_of(title),
            model=model,
            prompts=prompts,
            config=config_of(method_of(method), settings),
            method=method,
            preset=preset or None,
            preview_prompt=(preview_prompt or "").strip(),
            denoising=learning_steps(model, places, Steps()),
        )
        check_steers(request.method, request.model)
        job_id = self._studio.jobs.submit(request, visitor())
        for note in prompts.notes:
            gr.Warning(basics.safe(f"{basics.sentence_of(note)}."))
        return job_menu(self._studio.jobs.list(), job_id)
