"""Paint prompts with a steered picture model, cache the pictures, and score them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import suppress
from copy import copy
from threading import Event

from lineas_core import UserError, check_fits, pictures
from lineas_core.evaluation.counterfactual import Concept
from lineas_core.evaluation.effect import Effect, Goal, effects, goal_of
from lineas_core.metrics.concept import concept_scores, known_concept
from lineas_core.metrics.image_similarity import image_scores
from lineas_core.models import TextToImageModel
from lineas_core.models.catalog import MODELS
from lineas_core.models.denoising import Denoising
from lineas_core.pictures import recipe_of

from .maps import MapEntry
from .models import Models
from .picture_cache import Painted, PictureCache
from .plausible import check_usable, load_usable
from .steps import Steps

__all__ = ["IMG_SCORE", "Pictures"]

IMG_SCORE = "ImgScore"
"""Name of the similarity to the original among the scores."""


class Pictures:
    """The pictures that the text-to-image models of the page paint.

    In every method `entries` are maps of one model in the order in which they are applied, and
    `strengths` has one row per picture with the λ (-1 to 1) of each map; a row of zeros is the
    original.
    """

    def __init__(self, models: Models) -> None:
        """Use these models; pictures are cached in memory."""
        self._models, self._cache = models, PictureCache()
        self._denoising: dict[str, Denoising] = {}  # of the models of painted pictures
        self._coming: dict[Hashable, Event] = {}  # set when the picture has come, or will not
        self._steps = Steps()

    def denoising(self, model: str) -> Denoising | None:
        """Return how a model denoises by default; None if it is not known before it paints."""
        if model in MODELS and (painting := MODELS[model].painting) and painting.timesteps:
            steps = len(painting.timesteps)
            times, noise = painting.timesteps, painting.noise
            return Denoising(steps, painting.guidance_scale, times, noise=noise)
        return self._denoising.get(model)

    def with_steps(self, steps: Steps) -> Pictures:
        """Return the same pictures, painted or steered in other steps, or with other guidance."""
        other = copy(self)
        other._steps = steps
        return other

    def painted(
        self,
        entries: Sequence[MapEntry],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        *,
        seed: int = 0,
    ) -> list[Painted] | None:
        """Return the cached pictures of `paint`, or None if any is missing."""
        found = [self._cache.get(self._key(entries, prompt, seed, row)) for row in strengths]
        pictures = [picture for picture in found if picture]
        return pictures if len(pictures) == len(found) else None

    def paint(
        self,
        entries: Sequence[MapEntry],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        *,
        seed: int = 0,
    ) -> list[Painted]:
        """Paint one prompt at several strengths; missing pictures are painted in one batch.

        Args:
            entries: see the class.
            prompt: description of the picture.
            strengths: see the class.
            seed: seed of the starting noise, the same for all pictures, so that only λ differs.

        Returns:
            One picture for each row of strengths.

        Raises:
            UserError: the model is not installed, a map does not fit it or has to be confirmed
                first, or memory ran out.
        """
        for entry in entries:  # also where the cache has the pictures of equal values
            check_usable(entry)
        keys = [self._key(entries, prompt, seed, row) for row in strengths]
        for coming in filter(None, map(self._coming.get, keys)):
            coming.wait()
        cached = self.painted(entries, prompt, strengths, seed=seed)
        if cached is not None:  # the model need not even be installed
            return cached
        with self._models.use(entries[0].model) as model:
            self._denoising[entries[0].model] = model.denoising
            wanted = dict(zip(keys, strengths, strict=True))
            # Another thread may have painted some of them while this one waited.
            found = {key: hit for key in wanted if (hit := self._cache.get(key))}
            missing = {key: row for key, row in wanted.items() if key not in found}
            if missing:
                model = self._steps.set_in(model)
                fresh = _paint(model, entries, prompt, [*missing.values()], seed)
                found.update(zip(missing, fresh, strict=True))
            for key, picture in found.items():
                self._cache.add(key, picture)
        return [found[key] for key in keys]

    def expect(
        self,
        entries: Sequence[MapEntry],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        arrive: Callable[[], Sequence[Painted]],
        *,
        seed: int = 0,
    ) -> None:
        """Wait for pictures that somebody else paints; `paint` waits for them meanwhile.

        The arguments are those of `paint`, and `arrive`, which returns one picture for each row
        of strengths, or nothing if there will be none.
        """
        keys, arrived = [self._key(entries, prompt, seed, row) for row in strengths], Event()
        self._coming |= dict.fromkeys(keys, arrived)
        try:
            for key, picture in zip(keys, arrive(), strict=False):
                self._cache.add(key, picture)
        finally:
            for key in keys:
                del self._coming[key]
            arrived.set()

    def scores(
        self,
        entries: Sequence[MapEntry],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        *,
        seed: int = 0,
    ) -> dict[str, list[float]] | None:
        """Score cached pictures; return None if any is missing.

        The arguments are those of `paint`.

        Returns:
            One score per picture, by name: `ImgScore` (similarity to the original, -1 to 1), and
            under the title of each map its ConceptScore (probability of the concept according
            to a separate classifier, 0 to 1). Scores whose network is not installed are left
            out.
        """
        original = [0.0] * len(entries)
        painted = self.painted(entries, prompt, [original, *strengths], seed=seed)
        if painted is None:
            return None
        images, found = [picture.image for picture in painted], {}
        with suppress(UserError):  # the feature network is not installed
            found[IMG_SCORE] = image_scores(images[:1], images[1:])
        for entry in entries:
            if concept := known_concept(entry.keywords, entry.model):
                found[entry.title] = concept_scores(images[1:], concept)
        return found

    def goal(self, entry: MapEntry, prompt: str, strength: float) -> Goal | None:
        """Return what a map should give at a strength λ.

        Returns:
            The goal; None if there is none (see `goal_of`), if the map has no keywords, and for
            a model whose pictures of two prompts differ in everything.
        """
        denoising = self.denoising(entry.model)
        if not (denoising and denoising.noise == "layout" and entry.keywords):
            return None
        more = entry.direction * strength > 0
        return goal_of(Concept(entry.keywords), prompt, more=more)

    def right_answer(
        self,
        entries: Sequence[MapEntry],
        prompt: str,
        strengths: Sequence[float],
        *,
        seed: int = 0,
    ) -> tuple[Goal, list[Painted]] | None:
        """Paint what the first map should give, with the other maps at their strengths.

        Args:
            entries: see the class.
            prompt: description of the picture.
            strengths: λ of each map; that of the first one tells whether it adds or removes.
            seed: seed of the starting noise.

        Returns:
            The goal, and one picture for each of its prompts; None if there is no goal.

        Raises:
            UserError: as in `paint`.
        """
        goal = self.goal(entries[0], prompt, strengths[0])
        if goal is None:
            return None
        untouched = [(0.0, *strengths[1:])]
        # One by one, so that a waiting request gets the model in between.
        return goal, [
            picture
            for each in goal.prompts
            for picture in self.paint(entries, each, untouched, seed=seed)
        ]

    def effects(
        self,
        entries: Sequence[MapEntry],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        *,
        seed: int = 0,
    ) -> list[Effect] | None:
        """Measure what the first map did to cached pictures; return None if any is missing.

        The arguments are those of `paint`; strengths may differ in those of the first map only.
        The untouched pictures to compare with are painted if they are missing.

        Returns:
            One effect per picture.

        Raises:
            UserError: as in `paint`.
        """
        if self.painted(entries, prompt, strengths, seed=seed) is None:
            return None
        sides = [entries[0].direction * row[0] > 0 for row in strengths]
        measured: dict[bool, Iterator[Effect]] = {}
        for side in {*sides}:  # less and more of the concept have different goals
            rows = [row for row, each in zip(strengths, sides, strict=True) if each == side]
            measured[side] = iter(self._effects(entries, prompt, rows, seed))
        return [next(measured[side]) for side in sides]

    def _key(
        self, entries: Sequence[MapEntry], prompt: str, seed: int, strengths: Sequence[float]
    ) -> tuple[Hashable, ...]:
        """Return the cache key of a picture; all maps of a model share the same originals.

        Titles are part of the key: they can change, and the recipe in the picture names them.
        """
        applied = [
            (entry.metadata.get("sha256"), entry.title, strength)
            for entry, strength in zip(entries, strengths, strict=True)
            if strength
        ]
        return entries[0].model, *applied, prompt, seed, self._steps

    def _effects(
        self,
        entries: Sequence[MapEntry],
        prompt: str,
        strengths: Sequence[Sequence[float]],
        seed: int,
    ) -> list[Effect]:
        """Measure pictures that have the same goal."""
        goal, answer = self.right_answer(entries, prompt, strengths[0], seed=seed) or (None, [])
        rows = [(0.0, *strengths[0][1:]), *strengths]
        start, *steered = [each.image for each in self.paint(entries, prompt, rows, seed=seed)]
        return effects(start, steered, goal, [each.image for each in answer])


def _paint(
    model: TextToImageModel,
    entries: Sequence[MapEntry],
    prompt: str,
    strengths: Sequence[Sequence[float]],
    seed: int,
) -> list[Painted]:
    maps = [load_usable(entry) for entry in entries]
    for each in maps:
        check_fits(each, model)
    images = pictures.paint(model, maps, strengths, prompt, seed)
    truncated = bool(model.truncated([prompt]))
    return [
        Painted(image, recipe_of(model, prompt, seed, *_applied(entries, row)), truncated)
        for image, row in zip(images, strengths, strict=True)
    ]


def _applied(entries: Sequence[MapEntry], strengths: Sequence[float]) -> tuple[list, list]:
    acting = [pair for pair in zip(entries, strengths, strict=True) if pair[1]]
    return [(entry.title, each) for entry, each in acting], [entry.identity for entry, _ in acting]
