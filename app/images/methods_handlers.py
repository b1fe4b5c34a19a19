"""The comparison of methods: pictures of all maps that were learnt from the same prompts.

The methods without iterations can learn the missing ones from here, in one pass each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr

from lineas_core import PromptSet, UserError
from lineas_core.methods import METHODS

from ..events import BySession, LatestRequest, changes, latest_only, user_errors, visitor
from ..html import basics
from ..jobs.job import PENDING, Job
from ..studio.checks import number, prompt_text, seed_of
from ..studio.maps import MapEntry, prompts_of, same_prompts, siblings
from ..studio.plausible import usable
from ..studio.steps import checked_steps
from ..studio.studio import Studio
from .figures import short_figures
from .methods_request import request_for
from .side_by_side import GalleryView, Labelled, Restored, restore_from, side_by_side

__all__ = ["MethodsHandlers"]

_QUICK = [
    name
    for name, method in METHODS.items()
    if "text-to-image" in method.kinds and not method.iterative
]
"""The methods for pictures that have no iterations."""
_CALLS = LatestRequest()  # of the handlers that show the state of the panel
_NO_PROMPTS = (
    "This map was shared without its prompts, so other methods cannot learn from them. "
    "Choose a ready-made map, or one of your own."
)
_DONE = (
    "click a picture to use its map. What is left is measured against the same scene without the "
    "concept, the held-out distance on prompts that the map was not learnt from; lower is better."
)


class View(NamedTuple):
    """Updates of the panel; a new value of `learnt` paints the gallery."""

    state: str = ""
    start: Any = gr.Button(visible=False)
    others: Any = gr.Button(visible=False)
    timer: Any = gr.Timer(active=False)
    gallery: Any = gr.skip()
    description: Any = gr.skip()
    learnt: Any = gr.skip()


@dataclass(frozen=True)
class _Progress:
    """The methods that have learnt, or are learning, from the prompts of a map.

    Attributes:
        found: the maps that were learnt from these prompts, including the chosen one.
        jobs: the jobs for these prompts, newest first.
    """

    found: Sequence[MapEntry]
    jobs: Sequence[Job]

    @property
    def learning(self) -> list[str]:
        """Methods whose job is running or queued."""
        return [job.request.method for job in self.jobs if job.state in PENDING]

    @property
    def missing(self) -> list[str]:
        """Methods without iterations that have neither a map nor a pending job."""
        started = {*self.learning, *(entry.method for entry in self.found)}
        return [name for name in _QUICK if name not in started]

    @property
    def failures(self) -> list[str]:
        """Error of each missing method whose latest job failed."""
        newest = {job.request.method: job for job in reversed(self.jobs)}
        tried = [newest[name] for name in self.missing if name in newest]
        return [f"{_label(j.request.method)}: {j.message}" for j in tried if j.message]


class MethodsHandlers:
    """The event handlers of the comparison of methods.

    In every handler `map_id` is the chosen map and `painted` the recipe of the pictures in the
    gallery, which stay as long as the chosen map is among them.
    """

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._chosen = BySession[str | None]()

    @latest_only(_CALLS)
    @user_errors
    def choose(self, map_id: str | None, painted: dict[str, Any], request: gr.Request) -> View:
        """Show the state for another map; painting for the previous map ends."""
        self._chosen[request.session_hash or ""] = map_id
        return self._view(map_id, painted)

    @latest_only(_CALLS)
    @user_errors
    def refresh(self, map_id: str | None, painted: dict[str, Any]) -> View:
        """Show which methods have learnt from the prompts of the map, and which can."""
        return self._view(map_id, painted)

    @changes
    @latest_only(_CALLS)
    @user_errors
    def learn_others(self, map_id: str | None, painted: dict[str, Any]) -> View:
        """Queue the missing methods without iterations for the prompts of the map."""
        entry = self._studio.entry(map_id or "")
        self._studio.models.require(entry.model)
        if prompts := prompts_of(entry):
            progress = self._progress(entry, prompts)
            for name in progress.missing:
                request = request_for(entry, prompts, progress.found, name)
                self._studio.jobs.submit(request, visitor())
        return self._view(map_id, painted)

    @latest_only(_CALLS)
    @user_errors
    def wait(self, map_id: str | None, painted: dict[str, Any]) -> View:
        """Show the progress; once all methods have finished, their maps are painted."""
        view = self._view(map_id, painted)
        if view.timer.active or not (entry := self._entry(map_id)):
            return view
        return view._replace(learnt=" ".join(each.id for each in self._found(entry)))

    @user_errors
    def paint(
        self,
        map_id: str | None,
        prompt: str,
        seed: int | None,
        strength: float | None,
        steps: int | None,
        guidance: float | None,
        steer_steps: str | None,
        request: gr.Request,
    ) -> Iterator[GalleryView]:
        """Paint one prompt and seed with the map of every method, the original first.

        Maps that have to be confirmed first, and damaged ones, are named and left out.

        Args:
            map_id: the chosen map.
            prompt: description of the picture.
            seed: seed of the starting noise; None while the user types.
            strength: λ of every map, -1 to 1; None while the user types.
            steps: number of denoising steps; None is the default of the model.
            guidance: guidance scale; None is the default of the model.
            steer_steps: first and last step at which maps act; empty for all.
            request: identifies the browser session; choosing another map ends the painting.

        Yields:
            The pictures so far.
        """
        if not map_id or seed is None or strength is None:
            return
        entry = self._studio.entry(map_id)
        self._studio.models.require(entry.model)
        text, seed, strength = prompt_text(prompt), seed_of(seed), number("λ", strength, -1, 1)
        found, left_out = usable(self._found(entry))
        original = f"original{_heldout(entry.metadata.get('heldout_start'))}"
        wanted: list[Labelled] = [(None, original), *((each, _caption(each)) for each in found)]
        done, ids = f"{_DONE}{left_out}", [map_id, *(each.id for each in found)]
        paints = self._studio.pictures.with_steps(checked_steps(steps, guidance, steer_steps))
        for view in side_by_side(paints, wanted, text, strength, seed, done):
            if not self._shows(ids, request):
                break
            yield view
        else:
            figures = ["", *(short_figures(paints, each, text, strength, seed) for each in found)]
            both = [(image, f"{label}{figures.pop(0)}") for image, label in view.pictures]
            view = view._replace(pictures=both)
        # Else as `choose` left it: pictures may have come after its answer.
        yield view if self._shows(ids, request) else GalleryView([], "", {})

    @user_errors
    def paint_learnt(
        self,
        learnt: str,
        map_id: str | None,
        prompt: str,
        seed: int | None,
        strength: float | None,
        steps: int | None,
        guidance: float | None,
        steer_steps: str | None,
        request: gr.Request,
    ) -> Iterator[GalleryView]:
        """Paint as `paint` does once methods have learnt; Gradio also calls it before that."""
        if learnt:
            settings = map_id, prompt, seed, strength, steps, guidance, steer_steps
            yield from self.paint(*settings, request)

    @user_errors
    def take(self, painted: dict[str, Any], event: gr.SelectData) -> Restored:
        """Return the settings of the picture that was clicked."""
        return restore_from(self._studio, painted, event.index)

    def _shows(self, ids: Sequence[str], request: gr.Request) -> bool:
        """Return whether the map that the session has chosen last is one of these."""
        return self._chosen.get(request.session_hash or "", ids[0]) in ids

    def _view(self, map_id: str | None, painted: dict[str, Any]) -> View:
        kept = map_id in painted.get("maps", ())
        view = View() if kept else View(gallery=[], description="")
        if not (entry := self._entry(map_id)):
            return view
        if (prompts := prompts_of(entry)) is None:
            return view._replace(state=basics.hint(_NO_PROMPTS))
        progress, learns = self._progress(entry, prompts), not self._studio.read_only
        return view._replace(
            state=_describe(progress, learns=learns),
            start=gr.Button(visible=len(progress.found) > 1),
            others=gr.Button(visible=bool(progress.missing) and learns and not progress.learning),
            timer=gr.Timer(active=bool(progress.learning)),
        )

    def _entry(self, map_id: str | None) -> MapEntry | None:
        """Return the map, or None if none is chosen or it has been deleted."""
        with suppress(UserError):
            return self._studio.entry(map_id)
        return None

    def _found(self, entry: MapEntry) -> list[MapEntry]:
        return siblings(entry, self._studio.maps())

    def _progress(self, entry: MapEntry, prompts: PromptSet) -> _Progress:
        jobs = [
            job
            for job in self._studio.jobs.list()
            if job.request.model == entry.model and same_prompts(job.request.prompts, prompts)
        ]
        return _Progress(self._found(entry), jobs)


def _describe(progress: _Progress, *, learns: bool) -> str:
    if progress.learning:
        names = _listed([_label(name) for name in progress.learning][::-1])
        return basics.hint(f"Learning: {names}. Each takes a few seconds; you can close the page.")
    labels = [*dict.fromkeys(entry.method_label for entry in progress.found)]
    have = "has learnt" if len(labels) == 1 else "have learnt"
    sentence = f"{_listed(labels)} {have} from the prompts of this map."
    if len(progress.found) == 1 and learns:
        sentence += " Learn the others to see them side by side; each needs one pass of seconds."
    return basics.hint(sentence) + basics.warning(" ".join(progress.failures))


def _caption(entry: MapEntry) -> str:
    """Return the method and the held-out distance, with its λ unless it was measured at 1."""
    measured = _heldout(entry.metadata.get("heldout"))
    at = f" at λ\N{NO-BREAK SPACE}{entry.strength:g}" if measured and entry.strength != 1 else ""
    return f"{entry.method_label}{measured}{at}"


def _heldout(heldout: object) -> str:
    return f"\nheld-out {heldout:.2f}" if isinstance(heldout, float) else ""


def _label(method: str) -> str:
    return METHODS[method].label


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
