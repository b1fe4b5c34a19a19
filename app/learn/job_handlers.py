"""Event handlers of the job in the Learn tab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gradio as gr

from lineas_core import SteeringMaps, UserError, load_maps
from lineas_core.learning.facts import describe_start
from lineas_core.methods import METHODS
from lineas_core.models.vocabulary import describe_unknown

from ..events import changes, user_errors, visitor
from ..html import basics, charts
from ..jobs.job import PENDING, Job
from ..studio.studio import Studio
from ..widgets.menu import menu
from . import html as learn_html
from .report import report

__all__ = ["STOP", "JobHandlers", "job_menu"]

_RESUMABLE = ("stopped", "failed", "interrupted")
STOP = "Stop and keep the best"
"""Label of the button that stops a job."""
_NO_JOB = (
    "Nothing has been learnt yet. Fill in the form and press Start. You can close the page while "
    "a map is being learnt."
)


class JobView(NamedTuple):
    """The parts of the Learn tab that show a job; by default they do not change."""

    menu: object = gr.skip()
    state: object = gr.skip()
    report: object = gr.skip()
    stop: object = gr.skip()
    resume: object = gr.skip()
    try_it: object = gr.skip()
    delete: object = gr.skip()
    curve: object = gr.skip()
    previews: object = gr.skip()
    modules: object = gr.skip()
    seen: object = gr.skip()


class Buttons(NamedTuple):
    """The buttons below a job."""

    stop: gr.Button
    resume: gr.Button
    try_it: gr.Button
    delete: gr.Button


class JobHandlers:
    """The event handlers of a job, and its typed endpoints for programs."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    @changes
    def prepare(self) -> None:
        """Make the next job start sooner: somebody has opened the tab."""
        self._studio.jobs.prepare()

    @changes
    @user_errors
    def stop(self, job_id: str | None) -> None:
        """Stop a job after the current iteration and keep its best map.

        A method without iterations stops at once and keeps no map.
        """
        self._studio.jobs.stop(job_id or "")

    @changes
    @user_errors
    def resume(self, job_id: str | None) -> None:
        """Continue a job that ended early."""
        self._studio.jobs.resume(job_id or "", visitor())

    @changes
    @user_errors
    def delete(self, job_id: str | None) -> None:
        """Delete a job that is over and has no map."""
        self._studio.jobs.delete(job_id or "")

    @user_errors
    def watch(self, job_id: str | None, seen: str) -> JobView:
        """Show a job if it has changed.

        Args:
            job_id: id of the chosen job; None shows the running job, else the newest one.
            seen: identifies the state that the page shows.
        """
        jobs = self._studio.jobs.list()
        job = _pick(jobs, job_id)
        listed = [(each.request.title, each.state) for each in jobs]
        tried = bool(job and job.map_folder)  # from the estimate on, before the first iteration
        now = f"{job and (job.id, job.state, job.position, job.iteration, tried)} of {listed}"
        if now == seen:
            return JobView()
        if job is None:
            empty = JobView(state=basics.hint(_NO_JOB), report="", curve="", previews="")
            return empty._replace(modules="", seen=now, **_buttons(None)._asdict())
        records = self._studio.jobs.records(job.id)
        maps, damage = _maps_of(job)
        previews = self._studio.jobs.previews(job.id)
        return JobView(
            menu=job_menu(jobs, job.id, shown=job_id),
            state=learn_html.job_state(job) + basics.warning(damage or _alike(records)),
            report=_report(job, records, maps),
            curve=charts.curve(records, job.iterations) if job.request.iterations else "",
            previews=_previews(job.request.preview_prompt, previews),
            modules=charts.modules(maps) if maps else "",
            seen=now,
            **_buttons(job)._asdict(),
        )

    @user_errors
    def job(self, job_id: str) -> dict:
        """Return the progress of a job.

        Args:
            job_id: an id from `learn`.

        Returns:
            state; message (of a failed job); iteration and iterations; elapsed and eta in
            seconds; position in the queue. The last two are None if they do not apply. notes:
            sentences about prompts that the model cuts, words that it does not know, and sides
            that it does not tell apart.
        """
        job = self._studio.jobs.get(job_id)
        keys = ("state", "message", "iteration", "iterations", "elapsed", "eta", "position")
        start = _alike(self._studio.jobs.records(job_id))
        notes = [*self._about_prompts(job), *([start] if start else [])]
        return {**{key: getattr(job, key) for key in keys}, "notes": notes}

    def _about_prompts(self, job: Job) -> list[str]:
        """Say what the model does not read of the prompts of a job, or does not know."""
        models, prompts = self._studio.models, job.request.prompts
        source = (*prompts.source, *prompts.heldout_source)
        target = (*prompts.target, *prompts.heldout_target)
        unknown = models.unknown_words(job.request.model, "\n".join((*source, *target)))
        return [
            *models.cut_prompts(job.request.model, source, target),
            *describe_unknown(unknown),
        ]


def _alike(records: Sequence[Mapping[str, Any]]) -> str:
    """Say that the model does not tell the sides of a job apart; empty if it does."""
    return describe_start(records[0]["loss"]) if records else ""


def _report(job: Job, records: Sequence[Mapping[str, Any]], maps: SteeringMaps | None) -> str:
    """Return the report of a job that is over.

    A job that ended early keeps its best map, so that its later records do not count.
    """
    if maps is None or job.state in PENDING:
        return ""
    best = [place for place, record in enumerate(records) if record["best"]]
    ended_early = job.state != "done"
    if ended_early and best:
        records = records[: best[-1] + 1]
    return learn_html.report(report(records, maps, ended_early=ended_early))


def _maps_of(job: Job) -> tuple[SteeringMaps | None, str]:
    """Return the maps of a job so far, and a sentence if they cannot be read."""
    try:
        return load_maps(job.map_folder) if job.map_folder else None, ""
    except UserError as error:  # shown once instead of at every tick of the timer
        return None, str(error)


def _previews(prompt: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return the preview pictures or texts as HTML."""
    painted = any(record.get("pictures") for record in records)
    return learn_html.strips(prompt, records) if painted else learn_html.previews(prompt, records)


def _pick(jobs: Sequence[Job], job_id: str | None) -> Job | None:
    chosen = [job for job in jobs if job.id == job_id]
    active = [job for job in jobs if job.state in PENDING]
    return next(iter([*chosen, *reversed(active), *jobs]), None)


def _buttons(job: Job | None) -> Buttons:
    """Show the buttons that apply to a job.

    A map can be tried while it is being learnt. A job with a map is deleted in the Library tab,
    where it can be restored.
    """
    pending, over = job and job.state in PENDING, job and job.state not in PENDING
    resumable, has_map = job and job.state in _RESUMABLE, job and job.map_folder
    visible = (pending, resumable, has_map, over and not has_map)
    buttons = Buttons(*(gr.Button(visible=bool(each)) for each in visible))
    if not job or not pending:
        return buttons
    keeps = METHODS[job.request.method].iterative  # others have no map before they are done
    return buttons._replace(stop=gr.Button(STOP if keeps else "Stop", visible=True))


def job_menu(jobs: Sequence[Job], job_id: str, *, shown: str | None = None) -> Any:
    """Return the menu of jobs, with one of them chosen; `shown` as in `menu`."""
    return menu([(learn_html.job_choice(j), j.id) for j in jobs], job_id, shown)
