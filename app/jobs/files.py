"""The files of a job, and what can be read of them if some are damaged.

A job is a folder named by its id:
    job.json                  request, state, message, time of creation
    stop                      exists once the user has requested to stop the job
    disk-full                 exists if the disk was too full to save the state of the job
    alive                     touched by the worker while it makes progress
    records.jsonl             one line per iteration, appended
    modules.json              latest loss of every module
    state.safetensors         checkpoint, from which `learn_iter` continues
    state-before.safetensors  the checkpoint before it
    map/                      the best maps so far; the final ones once the job is done
    preview-*.png             pictures of an image model during the run
    log.txt                   traces of internal errors
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from io import BytesIO
from itertools import groupby, zip_longest
from math import isfinite
from pathlib import Path
from typing import Any

from PIL import Image

from lineas_core.errors import UserError
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.storage.disk import read_regular, write_atomically
from lineas_core.storage.maps import holds_maps, load_prompts, read_metadata

from .job import Job, JobRequest

__all__ = [
    "DISK_FULL",
    "MALFORMED",
    "STOP",
    "Records",
    "pictures_of",
    "read_job",
    "read_records",
    "write_job",
]

STOP, DISK_FULL = "stop", "disk-full"
MALFORMED = (OSError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""Exceptions that reading a damaged file can raise."""
_ONCE_STOPPED = {"queued": "stopped", "loading": "stopping", "running": "stopping"}
_FULL = "The disk was full. Free some space, then press Resume."
_LOST = "Its description (job.json) is damaged, so it cannot be resumed."
_UNKNOWN = PromptSet(("unknown",) * 2, ("unknown",) * 2, name="unknown")


@dataclass(frozen=True)
class Records:
    """The records of a job.

    Attributes:
        lines: the complete lines of the file; a line that a crash has cut has no line feed.
        parsed: the record of each line; None where the line is damaged.
    """

    lines: Sequence[bytes]
    parsed: Sequence[dict[str, Any] | None]

    @property
    def readable(self) -> list[dict[str, Any]]:
        """The records without the damaged lines."""
        return [record for record in self.parsed if record is not None]

    @property
    def damage(self) -> str:
        """A sentence that names the damaged lines; empty if there are none."""
        numbers = [k for k, record in enumerate(self.parsed, 1) if record is None]
        if not numbers:
            return ""
        several = "s" if len(numbers) > 1 else ""
        verb = "are" if several else "is"
        return f"Line{several} {_ranges(numbers)} of records.jsonl {verb} damaged and left out."


def read_records(folder: Path) -> Records:
    """Read the records of a job; none if the file is missing or unreadable."""
    lines: list[bytes] = []
    with suppress(OSError):
        lines = read_regular(folder / "records.jsonl").split(b"\n")[:-1]
    return Records([line + b"\n" for line in lines], [_record(line) for line in lines])


def read_job(folder: Path) -> Job:
    """Read a job from its folder.

    If `job.json` is damaged, the job counts as failed, and title, model and prompts are those of
    its map.

    Returns:
        The job as it was written, apart from a request to stop and from damage.
    """
    records = read_records(folder)
    first, last = (*records.readable[:1], *records.readable[-1:]) or ({}, {})
    maps = folder / "map"
    facts: dict[str, Any] = {
        "id": folder.name,
        "iteration": last.get("iteration", 0),
        "elapsed": last.get("elapsed", 0.0),
        "setup": first.get("elapsed", 0.0),
        "map_folder": maps if holds_maps(maps) else None,
        "damage": records.damage,
    }
    try:
        written = json.loads(read_regular(folder / "job.json"))
        state, message = str(written["state"]), str(written["message"])
        facts |= {
            "request": JobRequest.from_json(written["request"]),
            "created": float(written["created"]),
        }
    except MALFORMED:
        facts |= {"request": _request_of(maps), "created": folder.stat().st_mtime}
        facts["described"] = False
        state, message, facts["damage"] = "failed", "", f"{_LOST} {records.damage}".strip()
    if (folder / DISK_FULL).exists():
        state, message = "failed", _FULL
    elif (folder / STOP).exists():
        state = _ONCE_STOPPED.get(state, state)
    return Job(state=state, message=message, **facts)


def pictures_of(record: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the paths of the preview pictures of a record, and their strengths.

    Pictures that are missing or damaged are left out.
    """
    names, strengths = (record.get(key) or () for key in ("pictures", "strengths"))
    pairs = zip_longest(names, strengths)
    whole = [(folder / name, strength) for name, strength in pairs if _is_picture(folder, name)]
    return {"pictures": [file for file, _ in whole], "strengths": [each for _, each in whole]}


def write_job(folder: Path, job: Job) -> None:
    """Save the request, state and message of a job.

    Raises:
        OSError: they cannot be written; the former ones are kept.
    """
    names = ("request", "state", "created", "message")
    data = {name: value for name, value in asdict(job).items() if name in names}
    write_atomically(folder / "job.json", json.dumps(data).encode())


def _is_picture(folder: Path, name: object) -> bool:
    """Return whether a file of a folder is a whole picture."""
    if not isinstance(name, str) or Path(name).name != name:
        return False
    try:
        with Image.open(BytesIO(read_regular(folder / name)), formats=("PNG",)) as image:
            image.verify()
    except (*MALFORMED, SyntaxError):  # PIL raises the latter for a damaged PNG file
        return False
    return True


def _record(line: bytes) -> dict[str, Any] | None:
    """Return the record of a line; None if the line is damaged."""
    with suppress(*MALFORMED):
        record = json.loads(line)
        if isinstance(record["iteration"], int) and isfinite(record["elapsed"]):
            return record
    return None


def _request_of(maps: Path) -> JobRequest:
    """Return what the map of a job tells of its request."""
    metadata, prompts = dict[str, Any](), _UNKNOWN
    with suppress(UserError):
        metadata = read_metadata(maps)
    with suppress(UserError):
        prompts = load_prompts(maps, metadata)
    title, model = metadata.get("title"), metadata.get("model")
    return JobRequest(str(title or maps.parent.name), str(model or "unknown"), prompts)


def _ranges(numbers: Sequence[int]) -> str:
    """Return ascending numbers as text, such as `3, 5-7`."""
    runs = [
        [number for _, number in run]
        for _, run in groupby(enumerate(numbers), key=lambda pair: pair[1] - pair[0])
    ]
    return ", ".join(f"{run[0]}-{run[-1]}" if run[1:] else str(run[0]) for run in runs)
