"""State, previews and report of a job as HTML."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineas_core.methods import METHODS
from lineas_core.pictures import label_of
from lineas_core.prompts.errors import plural
from lineas_core.prompts.tables import Table

from ..html.basics import clock, hint, safe
from ..html.thumbnails import thumbnail
from ..jobs.job import Job

__all__ = [
    "columns",
    "counter",
    "estimate",
    "job_choice",
    "job_state",
    "previews",
    "report",
    "stage",
    "strips",
]


def strips(prompt: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return the preview pictures, newest first: one strip over λ per record.

    Args:
        prompt: prompt of the pictures.
        records: records from `Jobs.previews`.
    """
    items = "".join(
        f'<li><small>{stage(r)}</small><div class="painted">'
        + "".join(map(_picture, r["pictures"], r["strengths"]))
        + "</div></li>"
        for r in reversed(records)
        if r.get("pictures")
    )
    return f'<p class="hint">“{safe(prompt)}”</p><ol class="previews">{items}</ol>'


def _picture(file: Path, strength: float) -> str:
    data, label = thumbnail(file), label_of(strength)
    return (
        f'<figure><img src="data:image/jpeg;base64,{data}" alt="λ {label}">'
        f"<figcaption>{label}</figcaption></figure>"
    )


_STATES = {
    "queued": "Waiting",
    "loading": "Loading the model",
    "running": "Learning",
    "stopping": "Stopping",
    "done": "Done",
    "stopped": "Stopped",
    "failed": "Failed",
    "hung": "The worker does not respond. Stop it, then press Resume to {resume}",
    "interrupted": "Interrupted. Press Resume to {resume}",
}


def job_state(job: Job) -> str:
    """Return the state of a job: progress, time spent and left, position in the queue."""
    method = METHODS[job.request.method]
    continues = method.iterative or method.checkpoints
    resume = "continue from the last checkpoint" if continues else "start again"
    state = _STATES[job.state].format(resume=resume)
    if job.state == "stopped" and job.map_folder:
        state += ", the best map is kept"
    if job.position:
        state += f", number {job.position} in the queue"
    progress = f"iteration {job.iteration} of {job.iterations}"
    if not job.request.iterations:
        epochs = getattr(job.request.config, "epochs", None)
        effort = plural(epochs, "epoch") if epochs else "in one pass"
        progress = f"{method.label}, {effort}"
    facts = [progress, f"{clock(job.elapsed)} spent"]
    if job.eta is not None:
        facts.append(f"about {clock(job.eta)} left")
    message = f'<p class="note">{safe(job.message)}</p>' if job.message else ""
    return (
        f'<section class="job {job.state}"><h2>{safe(job.request.title)}</h2>'
        f"<p><b>{safe(state)}</b><span>{safe(' · '.join(facts))}</span></p>"
        f'<progress max="{job.iterations}" value="{job.iteration}" '
        f'aria-label="Iterations"></progress>{message}</section>'
    )


def job_choice(job: Job) -> str:
    """Return the title of a job with its state in a few words, for a menu."""
    return f"{job.request.title} · {_STATES[job.state].partition('.')[0].lower()}"


def estimate(seconds: float, prompts: int, batch: int, heldout: int, *, in_one_pass: bool) -> str:
    """Say how long learning takes.

    Args:
        seconds: the estimate.
        prompts: prompts of each side that the map is learnt from.
        batch: how many of them pass at each iteration.
        heldout: further prompts of each side, which are held out.
        in_one_pass: whether the method has no iterations.
    """
    details = f", {batch} of them per iteration" if batch < prompts else ""
    details += f", {heldout} more held out" if heldout else ""
    details += ", without iterations" if in_one_pass else ""
    return hint(f"About {clock(max(seconds, 1))} with {prompts} prompts per side{details}.")


def previews(prompt: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return the preview texts, newest first.

    Args:
        prompt: text before the continuations.
        records: records from `Jobs.previews`.
    """
    items = "".join(
        f'<li><small>{stage(r)}, λ = {r["strength"]:g}</small><p class="text">'
        f'<span class="prompt">{safe(prompt)}</span>{safe(r["text"])}</p></li>'
        for r in reversed(records)
    )
    return f'<ol class="previews">{items}</ol>' if items else ""


def report(lines: Sequence[str]) -> str:
    """Return the sentences of a report as a list."""
    return f'<ul class="report">{"".join(f"<li>{safe(line)}</li>" for line in lines)}</ul>'


def stage(record: Mapping[str, Any]) -> str:
    """Return when a record was made; without iterations its loss is None."""
    if record.get("loss", 0) is None:
        return "after the pass"
    return f"after {plural(record['iteration'], 'iteration')}"


def counter(found: int, problems: Sequence[str], enough: int) -> str:
    """Return the number of prompts, the recommended number, and the problems."""
    remarks = "".join(f'<span class="problem">{safe(problem)}</span>' for problem in problems)
    kind = "enough" if found >= enough else "few"
    wanted = f" ({enough} recommended)" if found < enough else ""
    noun = "prompt" if found == 1 else "prompts"
    return f'<p class="counter"><b class="{kind}">{found}</b> {noun}{wanted}{remarks}</p>'


def columns(name: str, table: Table, reason: str) -> str:
    """Return the first three records of an uploaded file, and why its columns are asked for."""
    head = "".join(f'<th scope="col">{safe(column)}</th>' for column in table.columns)
    rows = "".join(
        f"<tr>{''.join(f'<td>{_cell(record.values.get(c))}</td>' for c in table.columns)}</tr>"
        for record in table.records[:3]
    )
    return (
        f"<h2>Which columns of {safe(name)}?</h2>{hint(reason)}"
        f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    )


def _cell(value: object) -> str:
    value = f"{value:g}" if isinstance(value, float) else value  # JSON's whole numbers
    text = "" if value is None else " ".join(str(value).split())
    return safe(text if len(text) <= 80 else f"{text[:80]} …")
