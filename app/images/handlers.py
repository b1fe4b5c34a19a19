"""Event handlers of the Images tab: values in, values out, no layout."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import gradio as gr

from lineas_core import UserError

from ..events import BySession, session, user_errors
from ..html import basics
from ..html import maps as map_html
from ..studio.checks import prompt_text, seed_of
from ..studio.maps import MapEntry
from ..studio.mix import Mix
from ..studio.picture_cache import Painted
from ..studio.settings import STRIP, Settings
from ..studio.steps import checked_steps
from ..studio.studio import Studio
from ..widgets.steering import SteeringHandlers, restored_prompt
from ..widgets.strength_slider import strength_label
from . import html as images_html
from .figures import Measured, curve_of, figures_of
from .follow_handlers import summary_of
from .steps_boxes import step_boxes

__all__ = ["TRUNCATED", "ImageHandlers"]

_EXAMPLES, _FIRST = 5, 0  # number of examples, index of the initial one
TRUNCATED = "The prompt exceeds the model's context length and was truncated."
_PAINTING = "Painting …"


class MapView(NamedTuple):
    """The parts of the Images tab that depend on the chosen map."""

    summary: str = ""
    facts: str = ""
    prompt: Any = gr.skip()
    examples: Any = gr.skip()
    words: Any = gr.skip()
    model: str = ""
    strength: Any = gr.skip()
    steps: Any = gr.skip()
    guidance: Any = gr.skip()
    steer_steps: Any = gr.skip()


class Canvas(NamedTuple):
    """The pictures, the note on the prompt, the key of the strip, and the link of the pair.

    The pair is the original and the steered picture, labelled with a number of its own, so that
    the page notices the same pictures again, and with λ: the page shows them unless the slider
    has moved on (`show_pair.js`). With the strip of another prompt, its curve and the key of that
    go.
    """

    pair: Any = gr.skip()
    strip: Any = gr.skip()
    note: Any = gr.skip()
    shown: Any = gr.skip()
    curve: Any = gr.skip()
    measured: Any = gr.skip()
    result: Any = gr.skip()


class ImageHandlers(SteeringHandlers):
    """The event handlers of the Images tab."""

    kind = "text-to-image"

    def __init__(self, studio: Studio) -> None:
        super().__init__(studio)
        self._wanted = BySession[str]()  # key of the latest steered picture

    @property
    def examples(self) -> list[str]:
        """Example prompts, without a concept."""
        return [*self._studio.prompts.scenes()[:_EXAMPLES]]

    @user_errors
    def choose(
        self, map_id: str | None, prompt: str, restored: Sequence[str] = (), before: str = ""
    ) -> MapView:
        """Show a chosen map.

        Args:
            map_id: id of the map; None if there is no map.
            prompt: the current prompt; an example is adapted to the map, other texts stay.
            restored: map and prompt that were restored together; then the prompt stays.
            before: model of the map before; the boxes for steps of another model are cleared.
        """
        self.chosen[session()] = map_id
        if not map_id:
            none = basics.hint("There is no map for pictures yet. Learn one in the Learn tab.")
            return MapView(summary=none)
        entry = self._studio.entry(map_id)
        adapted = self._adapted_example(prompt, entry, restored)
        scenes, kept = self.examples, entry.model == before or map_id in restored[:1]
        steps, guidance, steer_steps = step_boxes(
            self._studio.pictures.denoising(entry.model), kept=kept
        )
        return MapView(
            summary=summary_of(self._studio, entry),
            facts=map_html.about(entry, self._studio.steering(entry)),
            prompt=[prompt, adapted] if adapted else gr.skip(),
            examples=gr.update(samples=[[entry.within(s)] for s in scenes], sample_labels=scenes),
            words=map_html.vocabulary(self._studio.models.words(entry.model)),
            model=entry.model,
            strength=gr.update(label=strength_label(entry)),
            steps=steps,
            guidance=guidance,
            steer_steps=steer_steps,
        )

    @user_errors
    def offer_steps(self, model: str) -> tuple[Any, Any, Any]:
        """Show the boxes for steps and guidance once a model has painted, if it takes others."""
        return step_boxes(self._studio.pictures.denoising(model), kept=True)

    @user_errors
    def generate(
        self,
        shown: str,
        strength: float | None,
        map_id: str | None,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
        steps: int | None,
        guidance: float | None,
        steer_steps: str | None,
        request: gr.Request,
    ) -> Iterator[Canvas]:
        """Paint the original and the steered picture, then the strip.

        Args:
            shown: key of the strip that is shown; that strip is not painted again.
            strength: λ of the first map, -1 to 1; None while the user types.
            map_id: id of the first map.
            further: pairs (id, λ) of the maps that are applied after it.
            prompt: the prompt.
            seed: seed of the starting noise; None while the user types.
            steps: number of denoising steps; None is the default of the model.
            guidance: guidance scale; None is the default of the model.
            steer_steps: first and last step at which maps act; empty for all.
            request: identifies the browser session; a newer request ends this one.

        Yields:
            What is painted so far.
        """
        if not map_id or strength is None or seed is None or self.is_opening(prompt, request):
            return
        latest, chosen = self.requests.latest(request), checked_steps(steps, guidance, steer_steps)
        mix = self._studio.mix(map_id, further, chosen)
        entry = mix.entries[0]
        if not self._studio.models.installed(entry.model):
            return  # the install panel is shown
        text, seed, strengths = prompt_text(prompt), seed_of(seed), mix.at(strength)
        self._wanted[request.session_hash or ""] = repr((mix.key, strengths, text, seed))
        try:
            for canvas in self._canvases(shown, mix, strengths, text, seed):
                if self.requests.outdated(latest, request):
                    return
                yield canvas
        except Exception:
            yield Canvas(note=self._note(entry, text))  # nothing is being painted any more
            raise

    @user_errors
    def measure(
        self,
        measured: str,
        strength: float | None,
        map_id: str | None,
        further: list[tuple[str, float]],
        prompt: str,
        seed: int | None,
        steps: int | None,
        guidance: float | None,
        steer_steps: str | None,
        request: gr.Request,
    ) -> Iterator[Measured]:
        """Measure the painted pictures: the steered one, then the strip.

        Args:
            measured: key of the strip whose curve is shown; that strip is not measured again.
            strength: λ of the first map, -1 to 1; None while the user types.
            map_id: id of the first map.
            further: pairs (id, λ) of the maps that are applied after it.
            prompt: the prompt.
            seed: seed of the starting noise; None while the user types.
            steps: number of denoising steps; None is the default of the model.
            guidance: guidance scale; None is the default of the model.
            steer_steps: first and last step at which maps act; empty for all.
            request: identifies the browser session; its next picture ends this one.

        Yields:
            What is measured so far.
        """
        if not map_id or strength is None or seed is None or not (prompt or "").strip():
            return  # `generate` has said so
        try:
            chosen = checked_steps(steps, guidance, steer_steps)
        except UserError:
            return  # a range that is being typed
        mix = self._studio.mix(map_id, further, chosen)
        text, seed, strengths = prompt_text(prompt), seed_of(seed), mix.at(strength)
        pictures = self._studio.pictures.with_steps(mix.steps)
        # The number of the request would not do: this event can start after a newer request.
        wanted, mine = repr((mix.key, strengths, text, seed)), request.session_hash or ""
        if self._wanted.get(mine) != wanted:
            return
        figures = figures_of(pictures, mix, strengths, text, seed)
        if figures is None or self._wanted.get(mine) != wanted:
            return
        yield figures
        key = repr((mix.key, text, seed))
        curve = curve_of(pictures, mix, text, seed) if measured != key else None
        if curve is not None and self._wanted.get(mine) == wanted:
            yield Measured(curve=curve, measured=key)

    @user_errors
    def replace_word(self, prompt: str, event: gr.EventData) -> list[str]:
        """Replace an unknown word, wherever the prompt has it, by the known one of its chip.

        Returns:
            For `unless_typed`.
        """
        word, known = str(event.word), str(event.known)
        pattern = rf"\b{re.escape(word)}\b"
        return [prompt, re.sub(pattern, lambda _: known, prompt, flags=re.IGNORECASE)]

    def strength_at(self, event: gr.SelectData) -> float:
        """Return the strength of the picture that was clicked in the strip."""
        return STRIP[event.index]

    def _adapted_example(self, prompt: str, entry: MapEntry, restored: Sequence[str]) -> str:
        """Return the example that `prompt` is, with the concept of this map in it.

        The first example replaces an empty prompt, unless another one was restored with the map.
        The result is empty for any other text.
        """
        if linked := restored_prompt(entry.id, prompt, restored):
            return linked
        scenes = self._studio.prompts.scenes()
        if not (prompt or "").strip():
            return entry.within(scenes[_FIRST])
        entries = [each for each in self._studio.maps() if each.kind == entry.kind]
        found = (s for s in scenes for each in entries if prompt in (s, each.within(s)))
        return next((entry.within(scene) for scene in found), "")

    def _canvases(
        self, shown: str, mix: Mix, strengths: Sequence[float], prompt: str, seed: int
    ) -> Iterator[Canvas]:
        """Paint the pair, then the strip unless it is `shown`; yield after each step."""
        pictures = self._studio.pictures.with_steps(mix.steps)
        paint = partial(pictures.paint, mix.entries, prompt, seed=seed)
        painted = partial(pictures.painted, mix.entries, prompt, seed=seed)
        note = partial(self._note, mix.entries[0], prompt)
        result = Settings(mix.ids, strengths, prompt, seed, *mix.steps).query
        key, pair = repr((mix.key, prompt, seed)), [mix.original, strengths]
        if shown != key and painted(pair) is None:
            yield Canvas(note=note(doing=_PAINTING))
        both = paint(pair)
        labels = secrets.token_hex(8), str(strengths[0])
        arrived = [(each.image, label) for each, label in zip(both, labels, strict=True)]
        if shown == key:
            yield Canvas(arrived, note=note(both), shown=key, result=result)
            return
        rows = [mix.at(each) for each in STRIP]
        if painted(rows) is None:  # meanwhile remove the strip of the previous prompt
            yield Canvas(arrived, [], note(both, _PAINTING), "", "", "", result)
        images = [picture.image for picture in paint(rows)]
        strip = [*zip(images, map(mix.label, STRIP), strict=True)]
        yield Canvas(arrived, strip, note(both), key, "", "", result)

    def _note(
        self, entry: MapEntry, prompt: str, pictures: Sequence[Painted] = (), doing: str = ""
    ) -> str:
        """Describe the progress and the problems of a prompt."""
        sentences = [doing] if doing else []
        if any(picture.truncated for picture in pictures):
            sentences.append(TRUNCATED)
        unknown = images_html.unknown(self._studio.models.unknown_words(entry.model, prompt))
        return basics.hint(" ".join(sentences)) + unknown
