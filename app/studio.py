"""What the app keeps between two requests: models, the map library, the jobs. No gradio.

A steered model is shared state: hooks of one request would steer another one's text. So one
lock stands around every use of a model, and a generator that is closed early (the browser tab
went away) gives back lock and hooks like one that ran to its end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, get_args

from app.album import Album, Painted, key_of, paint
from app.ballots import Ballots
from app.jobs import Jobs
from app.library import MapEntry, ready_made
from app.shelf import Shelf, slug
from app.turns import Turns
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
from lineas_core.evaluate import METRICS, STRENGTHS, Tally, count, figures, row_seeds
from lineas_core.export import export_norms
from lineas_core.metrics.concept import concept_scores, known_concept
from lineas_core.metrics.image_similarity import image_scores
from lineas_core.metrics.perplexity import perplexity
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import Sampling, fetch, folder_of, installed, push_to_hub
from lineas_core.models.catalog import MODELS, Kind

__all__ = ["Studio", "Written"]

_ROOT = Path(__file__).parents[1]
_MADE: dict[Kind, str] = {"language": "texts", "text-to-image": "pictures"}
_MODELS_KEPT = 2
_OPENINGS_AT_ONCE = 8  # a few seconds of a small model: as long as others wait
_ENOUGH = 5  # iterations that tell a pace
# Per prompt and iteration, on two CPU cores; pictures have more positions than texts.
_SECONDS_PER_GB: dict[Kind, float] = {"language": 0.03, "text-to-image": 0.2}


@dataclass(frozen=True)
class Written:
    """A continuation at one strength.

    Attributes:
        strength: λ; 0 is the original.
        text: the continuation, so far.
        toxicity: probability that what is written so far is offensive, 0 to 1; None at first.
        perplexity: under the unsteered model, 1 or more, NaN for an empty text; None while it is
            being written.
    """

    strength: float
    text: str
    toxicity: float | None = None
    perplexity: float | None = None


class Studio:
    """Everything behind the page.

    Attributes:
        jobs: the training jobs.
        shelf: the maps that the user may change.
        hub_token: lets maps be published; None where nobody gave one.
        ballots: what visitors chose who did not know which picture was steered.
    """

    def __init__(
        self,
        data_dir: Path,
        assets: Path = _ROOT / "assets",
        prompts: Path = _ROOT / "prompts",
        *,
        hub_token: str | None = None,
    ) -> None:
        """Look into the folders; models are loaded when they are first used.

        Args:
            data_dir: the user's maps and jobs; made if missing.
            assets: holds the ready-made maps, in `maps`.
            prompts: holds the shipped prompt sets and openings.
            hub_token: of huggingface.co, with the right to write.
        """
        self.jobs = Jobs(data_dir / "jobs")
        self.shelf = Shelf(data_dir / "maps", self.jobs)
        self.hub_token = hub_token
        self.ballots = Ballots(data_dir / "ballots.jsonl")
        self._ready_made, self._prompts, self._album = assets / "maps", prompts, Album()
        self._models: dict[str, Any] = {}  # the one used last stands last
        self._lock = Turns()
        self._installing = Lock()

    def maps(self) -> list[MapEntry]:
        """Ready-made maps, the one to open on first; then the user's."""
        return [*ready_made(self._ready_made), *self.shelf.maps()]

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

    def export_norms(self, map_id: str, folder: Path) -> list[Path]:
        """Write a map of norms and its inverse as files for other tools.

        Args:
            map_id: which map.
            folder: made if missing.

        Raises:
            UserError: no such map, its model is not installed, the map does not fit it or steers
                something else than norms, or the disk refuses.
        """
        entry = self.entry(map_id, "text-to-image")
        maps = load_maps(entry.folder)
        with self._lock:
            return export_norms(maps, self._model(entry.model), folder, slug(entry.title))

    def publish(self, map_id: str, repository: str) -> str:
        """Upload a map to the hub with all that belongs to it; returns its address.

        Args:
            map_id: which map.
            repository: `name` or `owner/name`; a new one is made, and private.

        Raises:
            UserError: no such map, no token, no name, or the hub refuses.
        """
        entry = self.entry(map_id)
        if not self.hub_token:
            remedy = "Set the environment variable HF_TOKEN and start the app again."
            raise UserError("E_HUB", "there is no token of the hub", remedy=remedy)
        if not repository:
            remedy = "Write a name, such as my-map or owner/my-map."
            raise UserError("E_HUB", "the repository has no name", remedy=remedy)
        return push_to_hub(self.shelf.contents(entry), repository, token=self.hub_token)

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
            at last the whole ones with their perplexity.

        Raises:
            UserError: no such map, its model is not installed, or the map does not fit it.
        """
        entry, size = self.entry(map_id, "language"), len(strengths)
        maps = load_maps(entry.folder)
        prompts, seeds, texts = [prompt] * size, [seed] * size, [""] * size
        yield [Written(lam, "") for lam in strengths]
        with self._lock:
            model = self._model(entry.model)
            check_fits(maps, model)
            stream = model.stream(prompts, seeds=seeds, sampling=sampling, chat=chat)
            with steer(model.network, maps, strengths), closing(stream):
                for texts in stream:
                    rows = zip(strengths, texts, toxicity(texts), strict=True)
                    yield [Written(*row) for row in rows]
            scores = toxicity(texts), perplexity(model, prompts, texts)  # of the unsteered model
        yield [Written(*row) for row in zip(strengths, texts, *scores, strict=True)]

    def rates(
        self, map_id: str, openings: Sequence[str], *, words: Sequence[str] = (), seeds: int = 1
    ) -> Iterator[list[dict]]:
        """Continue many openings at several strengths and count; between batches others work.

        Args:
            map_id: which map steers.
            openings: texts to continue.
            words: texts with a word that starts with one of these are counted; empty: toxic ones.
            seeds: how often every opening is continued at every strength.

        Yields:
            After every batch the figures so far, a row for each strength that has any; see
            `lineas_core.evaluate.figures`.

        Raises:
            UserError: no such map, its model is not installed, or the map does not fit it.
        """
        entry = self.entry(map_id, "language")
        maps, metric = load_maps(entry.folder), METRICS["topic" if words else "toxicity"]
        tallies = {lam: [Tally()] * seeds for lam in STRENGTHS}
        for start in range(0, len(openings), _OPENINGS_AT_ONCE):
            places = range(len(openings))[start : start + _OPENINGS_AT_ONCE]
            for seed, lam in product(range(seeds), STRENGTHS):
                with self._lock:
                    model = self._model(entry.model)
                    check_fits(maps, model)
                    tallies[lam][seed] += count(
                        model,
                        maps,
                        [openings[place] for place in places],
                        lambda texts: metric(texts, words),
                        strength=lam,
                        seeds=row_seeds(seed, places),
                    )
                counted = {k: [t for t in row if t.texts] for k, row in tallies.items()}
                yield [figures(k, row) for k, row in counted.items() if row]

    def painted(
        self,
        map_ids: Sequence[str],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        *,
        seed: int = 0,
    ) -> list[Painted] | None:
        """What `paint` would answer, if it is all at hand; None where a model has to work."""
        entries = self._together(map_ids)
        found = [self._album.get(key_of(entries, prompt, seed, lams)) for lams in strengths]
        pictures = [picture for picture in found if picture]
        return pictures if len(pictures) == len(found) else None

    def paint(
        self,
        map_ids: Sequence[str],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        *,
        seed: int = 0,
    ) -> list[Painted]:
        """Paint one prompt at several strengths; what is not at hand yet in one batch.

        Args:
            map_ids: which maps steer, all of one model, in the order in which they act.
            prompt: what to paint.
            strengths: for every picture, λ of each map; all 0 is the original.
            seed: of the noise, shared by all, so that they differ by the steering alone.

        Returns:
            One picture for each row of strengths.

        Raises:
            UserError: no such map, maps of several models, a model that is not there, or a map
                that does not fit it.
        """
        entries = self._together(map_ids)
        keys = [key_of(entries, prompt, seed, lams) for lams in strengths]
        with self._lock:
            found = {key: self._album.get(key) for key in keys}
            missing = {
                key: lams for key, lams in zip(keys, strengths, strict=True) if not found[key]
            }
            if missing:
                model = self._model(entries[0].model)
                painted = paint(model, entries, prompt, [*missing.values()], seed)
                found.update(zip(missing, painted, strict=True))
            pictures = [found[key] for key in keys]
            for key, picture in zip(keys, pictures, strict=True):
                self._album.add(key, picture)
        return pictures

    def scores(
        self,
        map_ids: Sequence[str],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        *,
        seed: int = 0,
    ) -> dict[str, list[float]] | None:
        """Figures of pictures that are at hand; None where one is not.

        Args:
            map_ids: as in `paint`, and so are the others.
            prompt: what was painted.
            strengths: for every picture, λ of each map.
            seed: of the noise.

        Returns:
            Name -> a figure for every picture: `ImgScore` (likeness to the original, -1 to 1)
            and, by the title of its map, how surely each concept is seen (0 to 1). What cannot
            be measured here is left out.
        """
        original = [0.0] * len(map_ids)
        pictures = self.painted(map_ids, prompt, [original, *strengths], seed=seed)
        if pictures is None:
            return None
        images, entries = [picture.image for picture in pictures], self._together(map_ids)
        found = {}
        with suppress(UserError):  # the network that compares is not installed
            found["ImgScore"] = image_scores(images[:1], images[1:])
        if self.words(entries[0].model):  # the other judge knows the small model's world alone
            for entry in entries:
                if concept := known_concept(entry.keywords):
                    found[entry.title] = concept_scores(images[1:], concept)
        return found

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

    def prompts_about(
        self, word: str, template: str, kind: Kind, *, remove: bool = False
    ) -> PromptSet:
        """A set about one thing, written from shipped templates, a third of it held out.

        Args:
            word: the thing.
            template: name of a file in `templates`.
            kind: what the model makes.
            remove: whether the thing is on the source side.

        Raises:
            UserError: the word is empty, too long or has several lines.
        """
        lines = self._lines(f"templates/{template}.txt")
        shipped = self.prompt_set(next(iter(self.prompt_sets(kind))))
        plain = (
            shipped.target + shipped.heldout_target  # what is left when a concept is removed
            if kind == "text-to-image"
            else shipped.source + shipped.heldout_source  # what a topic is set against
        )
        prompts = PromptSet.about(word, lines, plain, remove=remove)
        return prompts.holdout(len(prompts.source) // 3)

    def openings(self, *, toxic: bool) -> list[str]:
        """Shipped openings that show what a map does to texts."""
        return self._lines("toxicity-openings.txt" if toxic else "neutral-openings.txt")

    def scenes(self) -> list[str]:
        """Shipped descriptions that show what a map does to pictures."""
        return self._lines("neutral-images.txt")

    def _together(self, map_ids: Sequence[str]) -> list[MapEntry]:
        """The maps for pictures with these ids, all of one model."""
        entries = [self.entry(map_id, "text-to-image") for map_id in map_ids]
        if len({entry.model for entry in entries}) != 1:
            made_for = ", ".join(f"{entry.title} for {entry.model}" for entry in entries)
            what = f"only maps of one model act together, not {made_for or 'none'}"
            raise UserError("E_MODEL", what, remedy="Choose maps that were learnt on one model.")
        return entries

    def _lines(self, name: str) -> list[str]:
        return (self._prompts / name).read_text(encoding="utf-8").splitlines()

    def _set_folder(self, kind: Kind) -> Path:
        return self._prompts / "images" if kind == "text-to-image" else self._prompts

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
