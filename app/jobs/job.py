"""A training job: its request and its state."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lineas_core.learning.config import BUDGETS, FitConfig, LearnConfig
from lineas_core.methods import METHODS
from lineas_core.prompts.prompt_set import PromptSet

__all__ = ["PENDING", "STARTED", "Job", "JobRequest"]

STARTED = ("loading", "running", "stopping")
"""States of a job that a worker has started."""

PENDING = ("queued", *STARTED, "hung")
"""States of a job that is not over."""


@dataclass(frozen=True)
class JobRequest:
    """A request to learn a map.

    Attributes:
        title: name of the map, any text.
        model: catalog name, hub id or folder.
        prompts: the prompts of both sides, and held-out prompts to measure on.
        config: settings of the run, of the type that the method requires.
        preset: layer preset or module pattern; None uses those that suit the model and the kind
            of the set, see `lineas_core.learning.suited.suited_preset`.
        preview_prompt: prompt of the previews, made at every quarter of the run; empty for none.
        method: a key of `lineas_core.methods.METHODS`; missing in jobs of early versions.
        denoising: settings of `TextToImageModel.with_denoising` that differ from those of the
            model, such as the steps at which it learns; missing in jobs of early versions.
    """

    title: str
    model: str
    prompts: PromptSet
    config: FitConfig = BUDGETS["quick"]
    preset: str | None = None
    preview_prompt: str = ""
    method: str = "lineas"
    denoising: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_json(cls, fields: dict[str, Any]) -> JobRequest:
        """Restore a request after `dataclasses.asdict` and a round trip through JSON."""
        sides = fields["prompts"].items()
        prompts: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in sides}
        config = type(METHODS[fields.get("method", cls.method)].config)(**fields["config"])
        return cls(**{**fields, "prompts": PromptSet(**prompts), "config": config})

    @property
    def iterations(self) -> int:
        """Total number of optimiser steps; 0 for a method that learns in one pass."""
        return self.config.iterations if isinstance(self.config, LearnConfig) else 0


@dataclass(frozen=True)
class Job:
    """A snapshot of a job.

    Attributes:
        id: id from `Jobs.submit`.
        request: the request.
        state: queued, loading, running, stopping, done, stopped, failed; interrupted if the
            worker has ended, hung if it does not respond.
        created: time of creation in seconds since the epoch; jobs run in this order.
        message: what went wrong, in sentences; usually empty.
        iteration: number of finished optimiser steps; 1 after a run in one pass.
        elapsed: seconds of learning, including all resumed runs.
        setup: seconds of learning before the first step.
        map_folder: folder of the maps so far, for `load_maps`; None before the first ones.
        damage: the damaged files, in sentences that `Jobs` adds to the message; usually empty.
        described: False if its request is lost, and only what its map tells is known.
        position: position in the queue, from 1; None unless queued.
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
    damage: str = ""
    described: bool = True
    position: int | None = None

    @property
    def iterations(self) -> int:
        """The value of `iteration` at the end of the run."""
        return self.request.iterations or 1

    @property
    def pace(self) -> float | None:
        """Mean seconds per step; None before the first step."""
        return (self.elapsed - self.setup) / self.iteration if self.iteration else None

    @property
    def eta(self) -> float | None:
        """Estimated seconds left; None if the job is not running or has no pace yet."""
        if self.state != "running" or self.pace is None:
            return None
        return self.pace * (self.iterations - self.iteration)
