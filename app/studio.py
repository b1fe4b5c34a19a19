"""What the app keeps between two requests: models, the map library, the jobs. No gradio.

A steered model is shared state: hooks of one request would steer another one's text. So one
lock stands around every use of a model, and a generator that is closed early (the browser tab
went away) gives back lock and hooks like one that ran to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, get_args

from app.album import Album, Painted, key_of, paint
from app.jobs import Jobs
from app.library import MapEntry, read_map, ready_made, stored
from app.words import known_words, unknown_words
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
from lineas_core.models import Sampling, fetch, folder_of, installed
from lineas_core.models.catalog import MODELS, Kind

__all__ = ["Studio", "Written"]

_ROOT = Path(__file__).parents[1]
_MADE: dict[Kind, str] = {"language": "texts", "text-to-image": "pictures"}
_MODELS_KEPT = 2
_ENOUGH = 5  # iterations that tell a pace
# Per prompt and iteration, on two CPU cores; pictures have more positions than texts.
_SECONDS_PER_GB: dict[Kind, float] = {"language": 0.03, "text-to-image": 0.2}


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
        self._prompts, self._album = prompts, Album()
        self._models: dict[str, Any] = {}  # the one used last stands last
        self._lock = Lock()  # not an RLock: a generator may go on in another thread
        self._installing = Lock()

    def maps(self) -> list[MapEntry]:
        """Ready-made maps, the one to open on first; then the user's, newest job first."""
        return [*ready_made(self._ready_made), *stored("yours", self._own), *self._learnt()]

    def opens_on(self) -> Kind:
        """What to show first: pictures, if there is a shipped map for a model that can run."""
        ready = [e for e in ready_made(self._ready_made) if self.installed(e.model)]
        return "text-to-image" if "text-to-image" in {e.kind for e in ready} else "language"

    def entry(self, map_id: str, kind: Kind | None = None) -> MapEntry:
        """The map with this id, for models of this kind if one is given.

        Raises:
            UserError: there is none.
        """
        for entry in self.maps():
            if entry.id == map_id and kind in (None, entry.kind):
                return entry
        what = f"there is no such map{f' for {_MADE[kind]}' if kind else ''}"
        raise UserError("E_MAP", what, remedy="Choose one from the list.")

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
        entry, rows = self.entry(map_id, "language"), len(strengths)
        maps = load_maps(entry.folder)
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

    def painted(
        self, map_id: str, prompt: str, strengths: Sequence[float], *, seed: int = 0
    ) -> list[Painted] | None:
        """What `paint` would answer, if it is all at hand; None where a model has to work."""
        entry = self.entry(map_id, "text-to-image")
        found = [self._album.get(key_of(entry, prompt, seed, lam)) for lam in strengths]
        pictures = [picture for picture in found if picture]
        return pictures if len(pictures) == len(found) else None

    def paint(
        self, map_id: str, prompt: str, strengths: Sequence[float], *, seed: int = 0
    ) -> list[Painted]:
        """Paint one prompt at several strengths; what is not at hand yet in one batch.

        Args:
            map_id: which map steers.
            prompt: what to paint.
            strengths: λ of every picture; the one at 0 is the original.
            seed: of the noise, shared by all, so that they differ by the steering alone.

        Returns:
            One picture per strength.

        Raises:
            UserError: no such map, its model is not there, or the map does not fit it.
        """
        entry = self.entry(map_id, "text-to-image")
        keys = [key_of(entry, prompt, seed, lam) for lam in strengths]
        with self._lock:
            found = [self._album.get(key) for key in keys]
            lams = [lam for lam, picture in zip(strengths, found, strict=True) if not picture]
            new = iter(paint(self._model(entry.model), entry, prompt, lams, seed) if lams else ())
            pictures = [picture or next(new) for picture in found]
            for key, picture in zip(keys, pictures, strict=True):
                self._album.add(key, picture)
        return pictures

    def words(self, model: str) -> dict[str, tuple[str, ...]]:
        """The words that a model knows, by heading; empty where nothing is told about it."""
        return known_words(_folder(model))

    def unknown_words(self, model: str, prompt: str) -> tuple[str, ...]:
        """Words of a prompt that a small model has not learnt."""
        return unknown_words(prompt, _folder(model))

    def installed(self, model: str) -> bool:
        """Whether a model is ready to load; one from the hub is left to transformers."""
        entry = MODELS.get(model)
        return entry is None or not (entry.embedded or entry.folder) or installed(model)

    def require(self, model: str) -> None:
        """Refuse a model that would have to be installed first.

        Raises:
            UserError: it is not on this machine.
        """
        if not self.installed(model):
            entry = MODELS[model]
            raise UserError(
                "E_NOT_INSTALLED",
                f"{entry.title} is not on this machine yet",
                remedy=f"Click “Install {entry.title}”."
                if entry.embedded
                else f"Get the whole project again: its weights belong to {entry.folder}.",
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
        entry = MODELS.get(model)
        return _SECONDS_PER_GB[entry.kind] * entry.memory_gb if entry else 1

    def prompt_sets(self, kind: Kind) -> dict[str, str]:
        """Shipped prompt sets for models of a kind: file stem -> title."""
        return {
            f.stem: PromptSet.load(f).name for f in sorted(self._set_folder(kind).glob("*.json"))
        }

    def prompt_set(self, stem: str) -> PromptSet:
        """A shipped prompt set of either kind.

        Raises:
            UserError: there is none of this name.
        """
        for kind in get_args(Kind):
            if stem in self.prompt_sets(kind):
                return PromptSet.load(self._set_folder(kind) / f"{stem}.json")
        raise UserError("E_SET", "there is no such set", remedy="Choose one from the list.")

    def openings(self, *, toxic: bool) -> list[str]:
        """Shipped openings that show what a map does to texts."""
        return self._lines("toxicity-openings.txt" if toxic else "neutral-openings.txt")

    def scenes(self) -> list[str]:
        """Shipped descriptions that show what a map does to pictures."""
        return self._lines("neutral-images.txt")

    def _lines(self, name: str) -> list[str]:
        return (self._prompts / name).read_text(encoding="utf-8").splitlines()

    def _set_folder(self, kind: Kind) -> Path:
        return self._prompts / "images" if kind == "text-to-image" else self._prompts

    def _learnt(self) -> list[MapEntry]:
        over = [job for job in self.jobs.list() if job.state in ("done", "stopped")]
        places = [(job.id, job.map_folder) for job in over if job.map_folder]
        return [entry for place in places if (entry := read_map(place[0], "yours", place[1]))]

    def _model(self, name: str) -> Any:
        """Load a model or take it from the few that are kept; the lock must be held."""
        self.require(name)
        model = self._models.pop(name, None)
        if model is None:
            while len(self._models) >= _MODELS_KEPT:
                del self._models[next(iter(self._models))]
            model = load_model(name)
        self._models[name] = model
        return model


def _folder(model: str) -> Path:
    return folder_of(model) if model in MODELS else Path(model)
