"""What the Images tab does: values in, values out, no layout."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import gradio as gr

from lineas_core.pictures import label_of

from ..events import user_errors
from ..html import basics, charts
from ..html import maps as map_html
from ..studio.checks import check_count, prompt_text, seed_of
from ..studio.maps import MapEntry
from ..studio.mix import Mix
from ..studio.picture_cache import Painted
from ..studio.settings import SEED, STRIP
from ..studio.studio import Studio
from ..widgets.steering import SteeringHandlers
from . import html as images_html

__all__ = ["ImageHandlers", "warm_up"]


_EXAMPLES = 5
_FIRST = 0  # the example to open with
_CUT = "The prompt is longer than the model reads: its end is ignored."
_PAINTING = "Painting …"


class ImageHandlers(SteeringHandlers):
    """The events of the Images tab, and its typed endpoint for programs."""

    kind = "text-to-image"

    @user_errors
    def choose(
        self, map_id: str | None, prompt: str, restored: Sequence[str] = ()
    ) -> tuple[Any, ...]:
        """What depends on the map; a prompt that was `restored` with it stays.

        Returns:
            Summary, facts, prompt, examples, words that the model knows, model.
        """
        if not map_id:
            none = basics.hint("There is no map for pictures yet. Learn one in the Learn tab.")
            return none, "", gr.skip(), gr.skip(), gr.skip(), ""
        entry = self._studio.entry(map_id)
        scenes = self._studio.prompts.scenes()[:_EXAMPLES]
        return (
            map_html.summary(entry),
            map_html.about(entry, self._studio.steering(entry)),
            self._in_place_of(prompt, entry, restored) or gr.skip(),
            gr.update(samples=[[entry.within(s)] for s in scenes], sample_labels=scenes),
            map_html.vocabulary(self._studio.models.words(entry.model)),
            entry.model,
        )

    @user_errors
    def generate(
        self,
        shown: str,
        strength: float | None,
        map_id: str | None,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Paint the original, the steered picture, and the strip where it is not `shown` yet.

        Yields:
            Original, steered picture, strip, a note below them, what strip is shown now.
        """
        if not map_id or None in (strength, seed):  # None: somebody is typing in a number box
            return
        latest, mix = self.requests.latest(request), self._studio.mix(map_id, further)
        entry = mix.entries[0]
        if not self._studio.models.installed(entry.model):
            return  # the panel above says what to do
        text, seed = prompt_text(prompt), seed_of(seed)
        asked, pair = (mix.entries, text), [mix.original, mix.at(strength)]
        strip_of = _key(mix, text, seed)
        if shown != strip_of and not self._studio.pictures.painted(*asked, pair, seed=seed):
            yield *(gr.skip(),) * 3, self._note(entry, prompt, [], _PAINTING), gr.skip()
        try:
            pictures = self._studio.pictures.paint(*asked, pair, seed=seed)
        except Exception:  # nothing is being painted any more
            yield *(gr.skip(),) * 3, self._note(entry, prompt, []), gr.skip()
            raise
        if self.requests.outdated(latest, request):
            return
        note, images = self._note(entry, prompt, pictures), [p.image for p in pictures]
        if shown == strip_of:
            yield *images, gr.skip(), note, shown
            return
        strengths = [mix.at(lam) for lam in STRIP]
        if not self._studio.pictures.painted(
            *asked, strengths, seed=seed
        ):  # no strip of another prompt
            yield *images, [], self._note(entry, prompt, pictures, _PAINTING), ""
        strip = self._studio.pictures.paint(*asked, strengths, seed=seed)
        if not self.requests.outdated(latest, request):
            labels = [label_of(lam) if lam or not mix.fixed else "0" for lam in STRIP]
            yield *images, [*zip([p.image for p in strip], labels, strict=True)], note, strip_of

    @user_errors
    def measure(
        self,
        measured: str,
        strength: float | None,
        map_id: str | None,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
    ) -> tuple[Any, ...]:
        """Figures of what was painted: the picture's, and the strip's where they are not there.

        Returns:
            Figures below the picture, curve below the strip, what strip is measured now.
        """
        if not map_id or None in (strength, seed):
            return (gr.skip(),) * 3
        mix = self._studio.mix(map_id, further)
        text, seed = prompt_text(prompt), seed_of(seed)
        figures_of = partial(self._studio.pictures.scores, mix.entries, text, seed=seed)
        found = figures_of([mix.at(strength)])
        if found is None:  # a newer wish came first
            return (gr.skip(),) * 3
        now = images_html.scores({name: values[0] for name, values in found.items()})
        strip_of = _key(mix, text, seed)
        strip = figures_of([mix.at(lam) for lam in STRIP]) if measured != strip_of else None
        if strip is None:
            return now, gr.skip(), gr.skip()
        return now, charts.scores(STRIP, strip), strip_of

    def strength_at(self, event: gr.SelectData) -> float:
        """The strength of the picture of the strip that was clicked."""
        return STRIP[event.index]

    @user_errors
    def make_pictures(
        self,
        map_id: str,
        prompt: str,
        strengths: list[float],
        seed: int = 0,
        further: list[list] | None = None,
    ) -> list[dict]:
        """Paint a prompt at several strengths with one seed.

        Args:
            map_id: an id that `list_maps` gives, of the kind text-to-image.
            prompt: what to paint, at most 2,000 characters.
            strengths: one to nine numbers from -1 (inverse) through 0 (original) to 1 (full).
            seed: the same seed gives the same pictures.
            further: up to two pairs [map_id, strength] of maps that act after the first one, in
                their order, each at the same strength in every picture.

        Returns:
            For each strength: strength, png (the file, base64; its recipe is inside).
        """
        check_count(strengths)
        mix, text = self._studio.mix(map_id, further or ()), prompt_text(prompt)
        rows = [mix.at(strength) for strength in strengths]
        made = self._studio.pictures.paint(mix.entries, text, rows, seed=seed_of(seed))
        return [
            {"strength": lam, "png": base64.b64encode(picture.png()).decode()}
            for lam, picture in zip(strengths, made, strict=True)
        ]

    def _in_place_of(self, prompt: str, entry: MapEntry, restored: Sequence[str]) -> str:
        """The scene of an example with this map's concept in it; empty for a user's own text."""
        if [entry.id, prompt] == [*restored]:
            return ""
        scenes = self._studio.prompts.scenes()
        if not (prompt or "").strip():
            return entry.within(scenes[_FIRST])
        ours = [e for e in self._studio.maps() if e.kind == entry.kind]
        found = (s for s in scenes for e in ours if prompt in (s, e.within(s)))
        return next((entry.within(scene) for scene in found), "")

    def _note(
        self, entry: MapEntry, prompt: str, pictures: Sequence[Painted], doing: str = ""
    ) -> str:
        sentences = [doing] if doing else []
        if any(picture.truncated for picture in pictures):
            sentences.append(_CUT)
        sentences += map_html.not_learnt(self._studio.models.unknown_words(entry.model, prompt))
        return basics.hint(" ".join(sentences))


def warm_up(studio: Studio) -> None:
    """Paint what the page opens with, so that the first visitor finds it painted."""
    if studio.opens_on() == "text-to-image":
        ours = [e for e in studio.maps() if e.kind == "text-to-image"]
        able = [e for e in ours if studio.models.installed(e.model)]
        prompt = able[0].within(studio.prompts.scenes()[_FIRST])
        studio.pictures.paint([able[0]], prompt, [[strength] for strength in STRIP], seed=SEED)


def _key(mix: Mix, prompt: str, seed: int) -> str:
    """What a strip depends on."""
    return repr((mix.ids, mix.fixed, prompt, seed))
