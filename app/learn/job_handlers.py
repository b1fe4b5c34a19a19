"""What the Learn tab shows of a job, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from lineas_core import SteeringMaps, UserError, load_maps

from ..events import user_errors
from ..html import basics, charts
from ..jobs.job import PENDING, Job
from ..studio.studio import Studio
from . import html as learn_html
from .report import advice

__all__ = ["JobHandlers", "job_menu"]

_RESUMABLE = ("stopped", "failed", "interrupted")
_NO_JOB = "Nothing learnt yet. Fill in the form and press Start; the page may be closed meanwhile."


class JobHandlers:
    """The events of a job, and the typed endpoint that asks about one."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @user_errors
    def stop(self, job_id: str | None) -> None:
        """End the job after this iteration, its best map is kept; a pass without any ends now."""
        self._studio.jobs.stop(job_id or "")

    @user_errors
    def resume(self, job_id: str | None) -> None:
        """Go on with a job that ended early."""
        self._studio.jobs.resume(job_id or "")

    @user_errors
    def delete(self, job_id: str | None) -> None:
        """Remove a job that is over and left no map."""
        self._studio.jobs.delete(job_id or "")

    @user_errors
    def watch(self, job_id: str | None, seen: str) -> tuple[Any, ...]:
        """What there is to see of a job, if it changed since `seen`.

        Without a choice (the page was just opened) the job that runs is shown, else the newest.

        Returns:
            Menu, state, report, four buttons, curve, previews, modules, what is seen now.
        """
        jobs = self._studio.jobs.list()
        job = _pick(jobs, job_id)
        menu = [(each.request.title, each.state) for each in jobs]
        now = f"{job and (job.id, job.state, job.position, job.iteration)} of {menu}"
        if now == seen:
            return (gr.skip(),) * 11
        if job is None:
            return gr.skip(), basics.hint(_NO_JOB), "", *_buttons(None), "", "", "", now
        records = self._studio.jobs.records(job.id)
        maps, damage = _maps_of(job)
        over = maps is not None and job.state not in PENDING
        return (
            job_menu(jobs, job.id),
            learn_html.job_state(job) + basics.warning(damage),
            learn_html.report(advice(_learnt_by(job, records), maps)) if over else "",
            *_buttons(job),
            charts.curve(records, job.iterations) if job.request.iterations else "",
            _previews(job.request.preview_prompt, self._studio.jobs.previews(job.id)),
            charts.modules(maps) if maps else "",
            now,
        )

    @user_errors
    def job(self, job_id: str) -> dict:
        """How far a job is: state, message, iteration, iterations, elapsed, eta, position."""
        job = self._studio.jobs.get(job_id)
        keys = ("state", "message", "iteration", "iterations", "elapsed", "eta", "position")
        return {key: getattr(job, key) for key in keys}


def _learnt_by(job: Job, records: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The records up to the map that was kept: of a run that ended early, the best one."""
    best = [place for place, record in enumerate(records) if record["best"]]
    return records if job.state == "done" or not best else records[: best[-1] + 1]


def _maps_of(job: Job) -> tuple[SteeringMaps | None, str]:
    """What a job has learnt so far, or why that cannot be read."""
    try:
        return load_maps(job.map_folder) if job.map_folder else None, ""
    except UserError as error:  # the page asks again and again; one answer is enough
        return None, str(error)


def _previews(prompt: str, records: Sequence[Mapping[str, Any]]) -> str:
    """The figure for what the job made of its prompt."""
    painted = any(record.get("pictures") for record in records)
    return learn_html.strips(prompt, records) if painted else learn_html.previews(prompt, records)


def _pick(jobs: Sequence[Job], job_id: str | None) -> Job | None:
    chosen = [job for job in jobs if job.id == job_id]
    active = [job for job in jobs if job.state in PENDING]
    return next(iter([*chosen, *reversed(active), *jobs]), None)


def _buttons(job: Job | None) -> tuple[Any, ...]:
    """Stop, resume, try it and delete, each where it makes sense.

    What has a map is deleted in the library, which can bring it back.
    """
    state = job and job.state
    over, kept = job is not None and state not in PENDING, job is not None and job.map_folder
    fitting = (state in PENDING, state in _RESUMABLE, over and kept, over and not kept)
    return tuple(gr.Button(visible=bool(visible)) for visible in fitting)


def job_menu(jobs: Sequence[Job], job_id: str) -> Any:
    """The menu of jobs, one of them chosen."""
    return gr.Dropdown([(f"{j.request.title} · {j.state}", j.id) for j in jobs], value=job_id)
