"""What the Learn tab does: prompts in, jobs out, and what there is to see of a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, fields, replace
from math import inf
from pathlib import Path
from typing import Any

import gradio as gr

from app import figures
from app.advice import advice
from app.checks import notices
from app.jobs import Job, JobRequest
from app.studio import Studio
from app.tabs import fragments
from lineas_core import BUDGETS, LearnConfig, PromptSet, UserError, load_maps
from lineas_core.models.catalog import MODELS, Kind

__all__ = ["PREVIEWS", "LearnHandlers", "aims", "budgets", "kind_of"]

PREVIEWS: dict[Kind, str] = {
    "language": "Once upon a time",
    "text-to-image": "A castle by a lake",
}
"""What a job continues or paints on the way, unless told otherwise."""
_ELSEWHERE = {"language": "DMD2", "text-to-image": "language"}  # in the names of budgets
ENOUGH = 32  # prompts a side, as in the paper
_FIELDS = [field.name for field in fields(LearnConfig)]
_AIMS: dict[Kind, dict[str, tuple[str, bool]]] = {  # -> templates, and whether to remove
    "language": {"write about it": ("about", False), "keep off it": ("about", True)},
    "text-to-image": {
        "take a thing out": ("thing", True),
        "put a thing in": ("thing", False),
        "take a style away": ("style", True),
        "bring a style in": ("style", False),
    },
}
_ACTIVE = ("queued", "loading", "running", "stopping", "hung")
_RESUMABLE = ("stopped", "failed", "interrupted")
_NO_JOB = "Nothing learnt yet. Fill in the form and press Start; the page may be closed meanwhile."


class LearnHandlers:
    """The events of the Learn tab, and its typed endpoints for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @notices
    def count(self, text: str) -> str:
        """How many prompts a box holds, and what is wrong with them."""
        return fragments.counter(*_counted(text), ENOUGH)

    def sets(self, model: str) -> list[tuple[str, str]]:
        """The shipped sets for a model, as (title, stem)."""
        return [(title, stem) for stem, title in self._studio.prompt_sets(kind_of(model)).items()]

    @notices
    def fit(self, model: str, preview_prompt: str) -> tuple[Any, ...]:
        """What depends on the model: menu of shipped sets, aims, budgets, preview prompt."""
        ours = (preview_prompt or "") in ("", *PREVIEWS.values())
        return (
            gr.Dropdown(self.sets(model), value=None),
            gr.Dropdown(aims(model), value=aims(model)[0]),
            gr.Radio(budgets(model), value=next(iter(BUDGETS))),
            PREVIEWS[kind_of(model)] if ours else gr.skip(),
        )

    @notices
    def load_set(self, stem: str | None) -> tuple[Any, ...]:
        """A shipped set: title, both boxes, number of held-out prompts, what is known of it."""
        return _filled(self._studio.prompt_set(stem)) if stem else (gr.skip(),) * 5

    @notices
    def write_set(self, model: str, word: str, aim: str) -> tuple[Any, ...]:
        """A set about one thing, from templates; likewise."""
        kind = kind_of(model)
        if aim not in _AIMS[kind]:
            remedy = f"Choose one of {', '.join(_AIMS[kind])}."
            raise UserError("E_AIM", f"{aim!r} is nothing to aim at", remedy=remedy)
        template, remove = _AIMS[kind][aim]
        return _filled(self._studio.prompts_about(word or "", template, kind, remove=remove))

    @notices
    def read_set(self, path: str) -> tuple[Any, ...]:
        """A file with both sides, likewise."""
        return _filled(PromptSet.load(path))

    @notices
    def read_side(self, path: str) -> str:
        """A file with one side."""
        file = Path(path)
        prompts, _ = PromptSet.parse_side(file.read_bytes(), file.name)
        return _lines(prompts)

    @notices
    def budget(self, name: str) -> tuple[Any, ...]:
        """The fields of `LearnConfig` for a named budget, in their order; 0 stands for None."""
        return tuple(0 if v is None else v for v in astuple(BUDGETS[name]))

    @notices
    def estimate(
        self,
        model: str,
        source: str,
        heldout: int | None,
        iterations: int | None,
        batch: int | None,
    ) -> str:
        """About how long learning takes."""
        prompts = min(max(_counted(source)[0] - (heldout or 0), 0) or ENOUGH, batch or inf)
        seconds = self._studio.pace(model) * prompts * (iterations or 0)
        return fragments.hint(f"About {fragments.clock(seconds)} with {prompts} prompts a side.")

    @notices
    def start(
        self,
        title: str,
        model: str,
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
            source: prompts to steer away from, one per line.
            target: prompts to steer towards, one per line.
            heldout: how many of the last ones on each side are only measured on.
            preset: layer preset or module pattern; empty for the model's own.
            preview_prompt: continued now and then; empty: never.
            known: what is known of the set that the boxes were filled from, if any.
            *settings: the fields of `LearnConfig` in their order.

        Returns:
            The menu of jobs, the new one chosen.
        """
        prompts = PromptSet.from_texts(source or "", target or "").holdout(heldout or 0)
        if known and known["boxes"] == [source, target]:  # nobody has changed them since
            about = {"description": known["description"], "keywords": tuple(known["keywords"])}
            prompts = replace(prompts, **about)
        chosen = dict(zip(_FIELDS, settings, strict=True))
        for name in ("batch_size", "micro_batch_size"):
            chosen[name] = chosen[name] or None  # an empty box comes as 0
        request = JobRequest(
            title=_title(title),
            model=model,
            prompts=prompts,
            config=LearnConfig(**chosen),
            preset=preset or None,
            preview_prompt=(preview_prompt or "").strip(),
        )
        job_id = self._submit(request)
        for note in prompts.notes:
            gr.Warning(fragments.safe(f"{note[0].upper()}{note[1:]}."))
        return _menu(self._studio.jobs.list(), job_id)

    @notices
    def stop(self, job_id: str | None) -> None:
        """End the job after this iteration; its best map is kept."""
        self._studio.jobs.stop(job_id or "")

    @notices
    def resume(self, job_id: str | None) -> None:
        """Go on with a job that ended early."""
        self._studio.jobs.resume(job_id or "")

    @notices
    def watch(self, job_id: str | None, seen: str) -> tuple[Any, ...]:
        """What there is to see of a job, if it changed since `seen`.

        Without a choice (the page was just opened) the job that runs is shown, else the newest.

        Returns:
            Menu, state, report, three buttons, curve, previews, modules, what is seen now.
        """
        jobs = self._studio.jobs.list()
        job = _pick(jobs, job_id)
        menu = [(each.request.title, each.state) for each in jobs]
        now = f"{job and (job.id, job.state, job.position, job.iteration)} of {menu}"
        if now == seen:
            return (gr.skip(),) * 10
        if job is None:
            return gr.skip(), fragments.hint(_NO_JOB), "", *_buttons(""), "", "", "", now
        records = self._studio.jobs.records(job.id)
        maps = load_maps(job.map_folder) if job.map_folder else None
        over = maps is not None and job.state not in _ACTIVE
        return (
            _menu(jobs, job.id),
            fragments.job_state(job),
            fragments.report(advice(records, maps)) if over else "",
            *_buttons(job.state),
            figures.curve(records, job.iterations),
            _previews(job.request.preview_prompt, self._studio.jobs.previews(job.id)),
            figures.modules(maps) if maps else "",
            now,
        )

    @notices
    def learn(
        self,
        title: str,
        source: list[str],
        target: list[str],
        model: str = next(iter(MODELS)),
        budget: str = "quick",
        heldout: int = 0,
    ) -> str:
        """Learn a map in the background.

        Args:
            title: what to call the map.
            source: prompts to steer away from, 2 or more, better 32.
            target: prompts to steer towards, 2 or more, better 32.
            model: an installed model.
            budget: quick, normal, thorough, paper (language) or paper (DMD2).
            heldout: number of prompts a side that are kept for measuring.

        Returns:
            The id of the job, for `job`; when it is done also the id of the map.
        """
        if budget not in BUDGETS:
            remedy = f"Give one of {', '.join(BUDGETS)}."
            raise UserError("E_BUDGET", f"budget is {budget!r}", remedy=remedy)
        prompts = PromptSet.from_texts(_lines(source), _lines(target)).holdout(heldout)
        return self._submit(JobRequest(_title(title), model, prompts, BUDGETS[budget]))

    @notices
    def job(self, job_id: str) -> dict:
        """How far a job is: state, message, iteration, iterations, elapsed, eta, position."""
        job = self._studio.jobs.get(job_id)
        keys = ("state", "message", "iteration", "iterations", "elapsed", "eta", "position")
        return {key: getattr(job, key) for key in keys}

    def _submit(self, request: JobRequest) -> str:
        self._studio.require(request.model)
        return self._studio.jobs.submit(request)


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


def _previews(prompt: str, records: Sequence[Mapping[str, Any]]) -> str:
    """The figure for what the job made of its prompt."""
    painted = any(record.get("pictures") for record in records)
    return figures.strips(prompt, records) if painted else fragments.previews(prompt, records)


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


def _filled(prompts: PromptSet) -> tuple[str, str, str, int, dict[str, Any]]:
    """Held-out prompts stand at the end of the boxes, where `PromptSet.holdout` takes them."""
    held = min(len(prompts.heldout_source), len(prompts.heldout_target))
    source, target = (
        prompts.source + prompts.heldout_source,
        prompts.target + prompts.heldout_target,
    )
    boxes = [_lines(source), _lines(target)]
    known = {
        "boxes": boxes,
        "description": prompts.description,
        "keywords": [*prompts.keywords],
    }
    return prompts.name, *boxes, held, known


def _lines(prompts: Sequence[str]) -> str:
    return "\n".join(" ".join(prompt.splitlines()) for prompt in prompts)


def _title(text: str | None) -> str:
    return (text or "").strip()[:100] or "Untitled"


def _pick(jobs: Sequence[Job], job_id: str | None) -> Job | None:
    chosen = [job for job in jobs if job.id == job_id]
    active = [job for job in jobs if job.state in _ACTIVE]
    return next(iter([*chosen, *reversed(active), *jobs]), None)


def _buttons(state: str) -> tuple[Any, ...]:
    """Stop, resume and try it, each where it makes sense."""
    fitting = (state in _ACTIVE, state in _RESUMABLE, state in ("done", "stopped"))
    return tuple(gr.Button(visible=visible) for visible in fitting)


def _menu(jobs: Sequence[Job], job_id: str) -> Any:
    return gr.Dropdown([(f"{j.request.title} · {j.state}", j.id) for j in jobs], value=job_id)
