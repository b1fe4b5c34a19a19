"""A training job: its request, and its progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineas_core.learning.config import BUDGETS, FitConfig, LearnConfig
from lineas_core.methods import METHODS
from lineas_core.prompts.prompt_set import PromptSet

__all__ = ["PENDING", "STARTED", "Job", "JobRequest"]

STARTED = ("loading", "running", "stopping")
"""States of a job that a worker is learning."""

PENDING = ("queued", *STARTED, "hung")
"""States of a job that is not over."""


@dataclass(frozen=True)
class JobRequest:
    """What a job is to learn.

    Attributes:
        title: name of the map; any text.
        model: catalog name, hub id or folder.
        prompts: source and target, and held-out prompts to measure on.
        config: settings of the run, of the type that the method takes.
        preset: layer preset or module pattern; None takes the model's default.
        preview_prompt: text that is continued or painted after every quarter of the run; empty
            for no previews.
        method: a key of `lineas_core.methods.METHODS`; jobs of earlier versions have none.
    """

    title: str
    model: str
    prompts: PromptSet
    config: FitConfig = BUDGETS["quick"]
    preset: str | None = None
    preview_prompt: str = ""
    method: str = "lineas"

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> JobRequest:
        """Rebuild a request from the JSON form of `dataclasses.asdict`."""
        sides = fields["prompts"].items()
        prompts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sides}
        config = type(METHODS[fields.get("method", cls.method)].config)(**fields["config"])
        return cls(**{**fields, "prompts": PromptSet(**prompts), "config": config})

    @property
    def iterations(self) -> int:
        """Number of optimiser steps; 0 for a method that learns in one pass."""
        return self.config.iterations if isinstance(self.config, LearnConfig) else 0


@dataclass(frozen=True)
class Job:
    """A job at the time when it was read.

    Attributes:
        id: made by `Jobs.submit`.
        request: what to learn.
        state: queued, loading, running, stopping, done, stopped or failed; interrupted if its
            worker is gone, hung if its worker makes no progress.
        created: seconds since the epoch; jobs are learnt in this order.
        message: why the job failed or was interrupted, in one sentence; else empty.
        iteration: optimiser steps so far; 1 after the single pass of a method without steps.
        elapsed: seconds of learning, including those before the job was resumed.
        setup: seconds of `elapsed` before the first step.
        map_folder: the maps so far, for `load_maps`; None before the first checkpoint.
        position: place among the waiting jobs, from 1; None unless queued.
    """

    id: str
    request: JobRequest
    state: str
    created: float
    message: str = ""
    iteration: int = 0
    elapsed: float = 0.0
    setup: float = 0.0
    map_folder: Path | None = None
    position: int | None = None

    @property
    def iterations(self) -> int:
        """Value of `iteration` once the job is done."""
        return self.request.iterations or 1

    @property
    def pace(self) -> float | None:
        """Mean seconds per step so far; None before the first step."""
        return (self.elapsed - self.setup) / self.iteration if self.iteration else None

    @property
    def eta(self) -> float | None:
        """Seconds left at this pace; None while there is no pace."""
        if self.state != "running" or self.pace is None:
            return None
        return self.pace * (self.iterations - self.iteration)
