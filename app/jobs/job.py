"""What a training job is: what was asked for, and how far it has come."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lineas_core.learning.config import BUDGETS, FitConfig, LearnConfig
from lineas_core.methods import METHODS
from lineas_core.prompts.prompt_set import PromptSet

__all__ = ["PENDING", "STARTED", "Job", "JobRequest"]

STARTED = ("loading", "running", "stopping")
"""States of a job that a worker has taken."""

PENDING = ("queued", *STARTED, "hung")
"""States of a job that is not over."""


@dataclass(frozen=True)
class JobRequest:
    """What to learn.

    Attributes:
        title: name of the map, any text.
        model: catalog name, hub id or folder.
        prompts: both sides, and held-out prompts to measure on.
        config: settings of the run, of the type that the method takes.
        preset: layer preset or module pattern; None takes the model's default.
        preview_prompt: continued or painted at every quarter of the run; empty: never.
        method: a key of `lineas_core.methods.METHODS`; jobs of old do not name it.
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
        """The request again, after `dataclasses.asdict` and a round trip through JSON."""
        sides = fields["prompts"].items()
        prompts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sides}
        config = type(METHODS[fields.get("method", cls.method)].config)(**fields["config"])
        return cls(**{**fields, "prompts": PromptSet(**prompts), "config": config})

    @property
    def iterations(self) -> int:
        """Optimiser steps in all; 0 for a method that has none and learns in one pass."""
        return self.config.iterations if isinstance(self.config, LearnConfig) else 0


@dataclass(frozen=True)
class Job:
    """A job as it stood when it was read.

    Attributes:
        id: made by `Jobs.submit`.
        request: what to learn.
        state: queued, loading, running, stopping, done, stopped, failed; interrupted when the
            worker is gone, hung when it gives no sign of life.
        created: seconds since the epoch; jobs are taken in this order.
        message: one sentence for a failed job, else empty.
        iteration: optimiser steps taken; 1 after a pass without any.
        elapsed: seconds of learning, all resumptions together.
        setup: those of them before the first step.
        map_folder: the maps so far, for `load_maps`; None before the first.
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
        """What `iteration` comes to in the end."""
        return self.request.iterations or 1

    @property
    def pace(self) -> float | None:
        """Seconds of a step so far; None before the first."""
        return (self.elapsed - self.setup) / self.iteration if self.iteration else None

    @property
    def eta(self) -> float | None:
        """Seconds left at the pace so far; None while there is no pace."""
        if self.state != "running" or self.pace is None:
            return None
        return self.pace * (self.iterations - self.iteration)
