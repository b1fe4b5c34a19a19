"""A job while it runs and when it is over, as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.job import Job
from app.tabs.fragments import clock, safe
from lineas_core.baselines import METHODS

__all__ = ["job_state", "previews", "report", "stage"]

_STATES = {
    "queued": "Waiting",
    "loading": "Loading the model",
    "running": "Learning",
    "stopping": "Stopping",
    "done": "Done",
    "stopped": "Stopped",
    "failed": "Failed",
    "hung": "No sign of life; Stop ends the worker, then Resume goes on from the last checkpoint",
    "interrupted": "Interrupted; Resume goes on from the last checkpoint",
}


def job_state(job: Job) -> str:
    """Where a job stands: state, method or iteration, time spent and left, place in the queue."""
    state = _STATES[job.state]
    if job.state == "stopped" and job.map_folder:
        state += ", the best map is kept"
    if job.position:
        state += f", number {job.position} in the queue"
    far = f"iteration {job.iteration} of {job.iterations}"
    if not job.request.iterations:
        far = f"{METHODS[job.request.method].label}, in one pass"
    facts = [far, f"{clock(job.elapsed)} spent"]
    if job.eta is not None:
        facts.append(f"about {clock(job.eta)} left")
    message = f'<p class="note">{safe(job.message)}</p>' if job.message else ""
    return (
        f'<section class="job {job.state}"><h2>{safe(job.request.title)}</h2>'
        f"<p><b>{safe(state)}</b><span>{safe(' · '.join(facts))}</span></p>"
        f'<progress max="{job.iterations}" value="{job.iteration}" '
        f'aria-label="Iterations"></progress>{message}</section>'
    )


def previews(prompt: str, records: Sequence[Mapping[str, Any]]) -> str:
    """What the maps wrote on the way, newest first."""
    items = "".join(
        f'<li><small>{stage(r)}, λ = {r["strength"]:g}</small><p class="text">'
        f'<span class="prompt">{safe(prompt)}</span>{safe(r["text"])}</p></li>'
        for r in reversed(records)
    )
    return f'<ol class="previews">{items}</ol>' if items else ""


def report(lines: Sequence[str]) -> str:
    """What came of a job, in plain sentences."""
    return f'<ul class="report">{"".join(f"<li>{safe(line)}</li>" for line in lines)}</ul>'


def stage(record: Mapping[str, Any]) -> str:
    """When a record was made; one of a pass without iterations has no loss."""
    if record.get("loss", 0) is None:
        return "after the pass"
    return f"after {record['iteration']} iterations"
