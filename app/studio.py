"""What the app keeps between two requests: models, the map library, the jobs. No gradio.

A steered model is shared state: hooks of one request would steer another one's text. So one
lock stands around every use of a model, and a generator that is closed early (the browser tab
went away) gives back lock and hooks like one that ran to its end.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from queue import SimpleQueue
from statistics import fmean
from threading import Lock
from typing import Any, Literal

from app.jobs import Jobs
from lineas_core import (
    PromptSet,
    SteeringMaps,
    UserError,
    check_fits,
    load_maps,
    load_model,
    steer,
)
from lineas_core.metrics.perplexity import perplexity
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import LanguageModel, Sampling, fetch, installed
from lineas_core.models.catalog import MODELS

__all__ = ["MapEntry", "Studio", "Written"]

Origin = Literal["ready-made", "yours"]

_ROOT = Path(__file__).parents[1]
_OPENS_ON = "football-smollm2-135m"  # a model without licence questions
_MODELS_KEPT = 2
_ENOUGH = 5  # iterations that tell a pace
_OFFENSIVE = 0.3  # mean toxicity of one side of the prompts
_SECONDS_PER_GB = 0.03  # per prompt and iteration, on two CPU cores

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapEntry:
    """A map of the library.

    Attributes:
        id: name of its folder, or the id of the job that learnt it.
        title: what a menu shows, any text.
        model: catalog name, hub id or folder of the model it was learnt on.
        origin: shipped with the app, or learnt or put there by the user.
        folder: where it is kept, to be read by `load_maps`.
        metadata: facts about its making.
        harmful: sign of the strengths that lead towards offensive texts; 0 where neither does.
    """

    id: str
    title: str
    model: str
    origin: Origin
    folder: Path
    metadata: dict[str, Any]
    harmful: int = 0

    @property
    def keywords(self) -> tuple[str, ...]:
        """Words that tell its topic; empty for most maps."""
        words = self.metadata.get("keywords")
        return tuple(map(str, words)) if isinstance(words, list) else ()


@dataclass(frozen=True)
class Written:
    """A continuation at one strength.

    Attributes:
        strength: λ; 0 is the original.
        text: the continuation, so far.
        toxicity: probability that it is offensive, 0 to 1; None while it is being written.
        perplexity: under the unsteered model, 1 or more, NaN for an empty text; None likewise.
    """

    strength: float
    text: str
    toxicity: float | None = None
    perplexity: float | None = None


class Studio:
    """Everything behind the page.

    Attributes:
        jobs: the training jobs.
    """

    def __init__(
        self, data_dir: Path, assets: Path = _ROOT / "assets", prompts: Path = _ROOT / "prompts"
    ) -> None:
        """Look into the folders; models are loaded when they are first used.

        Args:
            data_dir: the user's maps and jobs; made if missing.
            assets: holds the ready-made maps, in `maps`.
            prompts: holds the shipped prompt sets and openings.
        """
        self.jobs = Jobs(data_dir / "jobs")
        self._ready_made, self._own = assets / "maps", data_dir / "maps"
        self._prompts = prompts
        self._models: dict[str, LanguageModel] = {}  # the one used last stands last
        self._lock = Lock()  # not an RLock: a generator may go on in another thread
        self._installing = Lock()

    def maps(self) -> list[MapEntry]:
        """Ready-made maps, the one to open on first; then the user's, newest job first."""
        rank = {name: place for place, name in enumerate(MODELS)}
        ready = _stored("ready-made", self._ready_made)
        ready.sort(key=lambda e: (e.id != _OPENS_ON, rank.get(e.model, len(rank))))
        return [*ready, *_stored("yours", self._own), *self._learnt()]

    def entry(self, map_id: str) -> MapEntry:
        """The map with this id.

        Raises:
            UserError: there is none.
        """
        for entry in self.maps():
            if entry.id == map_id:
                return entry
        raise UserError("E_MAP", "there is no such map", remedy="Choose one from the list.")

    def steering(self, map_id: str) -> SteeringMaps:
        """The learnt maps themselves."""
        return load_maps(self.entry(map_id).folder)

    def continue_text(
        self,
        map_id: str,
        prompt: str,
        strengths: Sequence[float],
        *,
        seed: int = 0,
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> Iterator[list[Written]]:
        """Continue one prompt at several strengths, all in one batch with one seed.

        Args:
            map_id: which map steers.
            prompt: text to continue.
            strengths: λ of every row; the row at 0 is the original.
            seed: whole number, shared by all rows, so that they differ by the steering alone.
            sampling: length and temperature.
            chat: put the prompt into the model's chat template.

        Yields:
            One continuation per strength, so far: empty ones while the model is being loaded,
            at last the whole ones, judged.

        Raises:
            UserError: no such map, its model is not installed, or the map does not fit it.
        """
        entry, maps, rows = self.entry(map_id), self.steering(map_id), len(strengths)
        prompts, seeds, texts = [prompt] * rows, [seed] * rows, [""] * rows
        yield [Written(lam, "") for lam in strengths]
        with self._lock:
            model = self._model(entry.model)
            check_fits(maps, model)
            stream = model.stream(prompts, seeds=seeds, sampling=sampling, chat=chat)
            with steer(model.network, maps, strengths), closing(stream):
                for texts in stream:
                    yield [Written(*row) for row in zip(strengths, texts, strict=True)]
            figures = toxicity(texts), perplexity(model, prompts, texts)  # of the unsteered model
        yield [Written(*row) for row in zip(strengths, texts, *figures, strict=True)]

    def installed(self, model: str) -> bool:
        """Whether a model is ready to load; one from the hub is left to transformers."""
        entry = MODELS.get(model)
        return entry is None or entry.embedded is None or installed(model)

    def require(self, model: str) -> None:
        """Refuse a model that would have to be installed first.

        Raises:
            UserError: it is not on this machine.
        """
        if not self.installed(model):
            title = MODELS[model].title
            raise UserError(
                "E_NOT_INSTALLED",
                f"{title} is not on this machine yet",
                remedy=f"Click “Install {title}”.",
            )

    def install(self, model: str) -> Iterator[str]:
        """Download and convert an embedded model; it goes on when nobody listens any more.

        Yields:
            A sentence at each step.

        Raises:
            UserError: the download failed; says what to do.
        """
        sentences: SimpleQueue[str | None] = SimpleQueue()

        def work() -> None:
            try:
                with self._installing:  # a second click waits and finds the model there
                    fetch(model, sentences.put)
            finally:
                sentences.put(None)

        pool = ThreadPoolExecutor(1)
        outcome = pool.submit(work)
        pool.shutdown(wait=False)
        yield from iter(sentences.get, None)
        outcome.result()

    def pace(self, model: str) -> float:
        """Seconds of learning per prompt and iteration: those of a past job, else a guess."""
        for job in self.jobs.list():
            if job.request.model == model and job.iteration >= _ENOUGH:
                return job.elapsed / job.iteration / len(job.request.prompts.source)
        return _SECONDS_PER_GB * (MODELS[model].memory_gb if model in MODELS else 1)

    def prompt_sets(self) -> dict[str, str]:
        """Shipped prompt sets: file stem -> title."""
        return {f.stem: PromptSet.load(f).name for f in sorted(self._prompts.glob("*.json"))}

    def prompt_set(self, stem: str) -> PromptSet:
        """A shipped prompt set.

        Raises:
            UserError: there is none of this name.
        """
        if stem not in self.prompt_sets():
            raise UserError("E_SET", "there is no such set", remedy="Choose one from the list.")
        return PromptSet.load(self._prompts / f"{stem}.json")

    def openings(self, *, toxic: bool) -> list[str]:
        """Shipped openings that show what a map does."""
        name = "toxicity-openings.txt" if toxic else "neutral-openings.txt"
        return (self._prompts / name).read_text(encoding="utf-8").splitlines()

    def _learnt(self) -> list[MapEntry]:
        over = [job for job in self.jobs.list() if job.state in ("done", "stopped")]
        return [
            e for job in over if job.map_folder for e in _entry(job.id, "yours", job.map_folder)
        ]

    def _model(self, name: str) -> LanguageModel:
        """Load a model or take it from the few that are kept; the lock must be held."""
        self.require(name)
        model = self._models.pop(name, None)
        if model is None:
            while len(self._models) >= _MODELS_KEPT:
                del self._models[next(iter(self._models))]
            model = load_model(name)
        self._models[name] = model
        return model


def _stored(origin: Origin, library: Path) -> list[MapEntry]:
    return [
        e for folder in sorted(library.glob("*/")) for e in _entry(folder.name, origin, folder)
    ]


def _entry(map_id: str, origin: Origin, folder: Path) -> list[MapEntry]:
    """The map in a folder; nothing, with a line in the log, where it cannot be read."""
    try:
        facts, harmful = _read(folder, (folder / "lineas.safetensors").stat().st_mtime_ns)
    except (OSError, UserError) as error:
        _log.warning("The map %r is left out: %s", folder.name, error)
        return []
    title = str(facts.get("title") or folder.name)
    return [MapEntry(map_id, title, str(facts.get("model")), origin, folder, facts, harmful)]


@lru_cache(maxsize=512)
def _read(folder: Path, changed: int) -> tuple[dict[str, Any], int]:  # noqa: ARG001 - of the key
    """Metadata, and the sign of the harmful strengths, told by the prompts it was learnt from."""
    facts, harmful = load_maps(folder).metadata, 0
    if (folder / "prompts.json").is_file():
        prompts = PromptSet.load(folder / "prompts.json")
        source, target = (fmean(toxicity(side)) for side in (prompts.source, prompts.target))
        harmful = (target > _OFFENSIVE) - (source > _OFFENSIVE)
    return facts, harmful
