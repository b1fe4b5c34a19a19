"""What the app keeps between two requests, and what maps do to texts and pictures. No gradio."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from itertools import product
from pathlib import Path

from lineas_core import SteeringMaps, UserError, check_fits, load_maps, steer
from lineas_core.evaluation.counts import Counts, count, row_seeds, summarise
from lineas_core.evaluation.inputs import STRENGTHS
from lineas_core.evaluation.texts import METRICS
from lineas_core.metrics.concept import concept_scores, known_concept
from lineas_core.metrics.image_similarity import image_scores
from lineas_core.metrics.perplexity import perplexity
from lineas_core.metrics.toxicity import toxicity
from lineas_core.models import Sampling, push_to_hub
from lineas_core.models.catalog import Kind
from lineas_core.paths import ASSETS, PROMPTS
from lineas_core.storage.lycoris import export_norms

from ..jobs.queue import Jobs
from .maps import MapEntry, ready_made
from .models import Models
from .picture_cache import Painted, PictureCache
from .pictures import key_of, paint
from .prompts import PromptLibrary
from .texts import _OPENINGS_AT_ONCE, Continuation
from .user_maps import UserMaps, slug
from .votes import Votes

__all__ = ["Studio"]


_MADE: dict[Kind, str] = {"language": "texts", "text-to-image": "pictures"}


class Studio:
    """Everything behind the page.

    Attributes:
        jobs: the training jobs.
        shelf: the maps that the user may change.
        models: the models, a few of them loaded.
        prompts: the shipped prompt sets, openings and scenes.
        hub_token: lets maps be published; None where nobody gave one.
        tables: folder of the results that are shipped.
        ballots: what visitors chose who did not know which picture was steered.
    """

    def __init__(
        self,
        data_dir: Path,
        assets: Path = ASSETS,
        prompts: Path = PROMPTS,
        *,
        hub_token: str | None = None,
    ) -> None:
        """Look into the folders; models are loaded when they are first used.

        Args:
            data_dir: the user's maps and jobs; made if missing.
            assets: holds the ready-made maps, in `maps`, and results, in `tables`.
            prompts: what is shipped to learn from.
            hub_token: of huggingface.co, with the right to write.
        """
        self.jobs = Jobs(data_dir / "jobs")
        self.user_maps = UserMaps(data_dir / "maps", self.jobs)
        self.models, self.prompts = Models(), PromptLibrary(prompts)
        self.hub_token = hub_token
        self.votes = Votes(data_dir / "ballots.jsonl")
        self._ready_made, self._picture_cache = assets / "maps", PictureCache()
        self.tables = assets / "tables"

    def maps(self) -> list[MapEntry]:
        """Ready-made maps, the one to open on first; then the user's."""
        return [*ready_made(self._ready_made), *self.user_maps.maps()]

    def opens_on(self) -> Kind:
        """What to show first: pictures, if there is a shipped map for a model that can run."""
        ready = [e for e in ready_made(self._ready_made) if self.models.installed(e.model)]
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
        with self.models.use(entry.model) as model:
            return export_norms(maps, model, folder, slug(entry.title))

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
        return push_to_hub(self.user_maps.contents(entry), repository, token=self.hub_token)

    def continue_text(
        self,
        map_id: str,
        prompt: str,
        strengths: Sequence[float],
        *,
        seed: int = 0,
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> Iterator[list[Continuation]]:
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
        yield [Continuation(lam, "") for lam in strengths]
        with self.models.use(entry.model) as model:
            check_fits(maps, model)
            stream = model.stream(prompts, seeds=seeds, sampling=sampling, chat=chat)
            with steer(model.network, maps, strengths), closing(stream):
                for texts in stream:
                    rows = zip(strengths, texts, toxicity(texts), strict=True)
                    yield [Continuation(*row) for row in rows]
            # Of the unsteered model.
            scores = toxicity(texts), perplexity(model, prompts, texts, chat=chat)
        yield [Continuation(*row) for row in zip(strengths, texts, *scores, strict=True)]

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
            `lineas_core.evaluation.counts.summarise`.

        Raises:
            UserError: no such map, its model is not installed, or the map does not fit it.
        """
        entry = self.entry(map_id, "language")
        maps, metric = load_maps(entry.folder), METRICS["topic" if words else "toxicity"]
        tallies = {lam: [Counts()] * seeds for lam in STRENGTHS}
        for start in range(0, len(openings), _OPENINGS_AT_ONCE):
            places = range(len(openings))[start : start + _OPENINGS_AT_ONCE]
            for seed, lam in product(range(seeds), STRENGTHS):
                with self.models.use(entry.model) as model:
                    check_fits(maps, model)
                    (tally,) = count(
                        model,
                        maps,
                        [openings[place] for place in places],
                        lambda texts: metric(texts, words),
                        strength=lam,
                        seeds=[row_seeds(seed, places)],
                    )
                    tallies[lam][seed] += tally
                counted = {k: [t for t in row if t.texts] for k, row in tallies.items()}
                yield [summarise(k, row) for k, row in counted.items() if row]

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
        found = [
            self._picture_cache.get(key_of(entries, prompt, seed, lams)) for lams in strengths
        ]
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
        at_hand = self.painted(map_ids, prompt, strengths, seed=seed)
        if at_hand is not None:  # no model is needed, so none has to be there
            return at_hand
        entries = self._together(map_ids)
        keys = [key_of(entries, prompt, seed, lams) for lams in strengths]
        with self.models.use(entries[0].model) as model:
            wanted = dict(zip(keys, strengths, strict=True))
            found = {
                key: self._picture_cache.get(key) for key in wanted
            }  # somebody may have had a turn
            missing = {key: lams for key, lams in wanted.items() if not found[key]}
            if missing:
                painted = paint(model, entries, prompt, [*missing.values()], seed)
                found.update(zip(missing, painted, strict=True))
            for key, picture in found.items():
                self._picture_cache.add(key, picture)
        return [found[key] for key in keys]

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
        for entry in entries:
            if concept := known_concept(entry.keywords, entry.model):
                found[entry.title] = concept_scores(images[1:], concept)
        return found

    def _together(self, map_ids: Sequence[str]) -> list[MapEntry]:
        """The maps for pictures with these ids, all of one model."""
        entries = [self.entry(map_id, "text-to-image") for map_id in map_ids]
        if len({entry.model for entry in entries}) != 1:
            made_for = ", ".join(f"{entry.title} for {entry.model}" for entry in entries)
            what = f"only maps of one model act together, not {made_for or 'none'}"
            raise UserError("E_MODEL", what, remedy="Choose maps that were learnt on one model.")
        return entries
