"""Comparing methods: pictures of all maps that learnt from the same prompts, each by its own way.

What is missing can be learnt from here: the methods without iterations take a pass each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gradio as gr

from lineas_core import PromptSet, UserError
from lineas_core.methods import METHODS

from ..events import LatestRequest, user_errors
from ..html import basics
from ..jobs.job import PENDING, Job, JobRequest
from ..studio.checks import number, prompt_text, seed_of
from ..studio.maps import MapEntry, alike, prompts_of, siblings
from ..studio.studio import Studio
from ..studio.user_maps import LONGEST_TITLE
from .side_by_side import side_by_side, taken

__all__ = ["MethodsHandlers"]

_QUICK = [name for name, method in METHODS.items() if not method.iterative]
"""The methods without iterations."""
_NO_PROMPTS = (
    "The prompts were not handed on with this map, so no other method can learn from them. "
    "Choose a ready-made map, or one of your own."
)
_FIGURE = "Held-out is the distance to the target on prompts not learnt from: lower is closer."


@dataclass(frozen=True)
class _Standing:
    """What has come of a map's prompts so far.

    Attributes:
        found: the maps that learnt from them, this one among them.
        jobs: those for these prompts, newest first.
    """

    found: Sequence[MapEntry]
    jobs: Sequence[Job]

    @property
    def learning(self) -> list[str]:
        """The methods at work, or in the queue."""
        return [job.request.method for job in self.jobs if job.state in PENDING]

    @property
    def missing(self) -> list[str]:
        """The methods without iterations that have not learnt from these prompts."""
        taken = {*self.learning, *(entry.method for entry in self.found)}
        return [name for name in _QUICK if name not in taken]

    @property
    def failures(self) -> list[str]:
        """For each missing method that was tried, why it came to nothing."""
        newest = {job.request.method: job for job in reversed(self.jobs)}
        tried = [newest[name] for name in self.missing if name in newest]
        return [f"{_label(j.request.method)}: {j.message}" for j in tried if j.message]


class MethodsHandlers:
    """The events of the panel that compares methods."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._chosen = LatestRequest()

    def choose(
        self, map_id: str | None, painted: dict[str, Any], request: gr.Request
    ) -> tuple[Any, ...]:
        """As `look`, of another map; what is being painted for the one before ends."""
        if map_id not in painted.get("maps", ()):
            self._chosen.new(request)
        return self.look(map_id, painted)

    @user_errors
    def look(self, map_id: str | None, painted: dict[str, Any]) -> tuple[Any, ...]:
        """What there is to compare with a map.

        Args:
            map_id: the map.
            painted: what the gallery shows; it stays as long as the map is in it.

        Returns:
            A sentence, button that paints, button that learns, timer, gallery, what it shows.
        """
        gallery = (gr.skip(),) * 2 if map_id in painted.get("maps", ()) else ([], "")
        hidden = gr.Button(visible=False)
        if not (entry := self._entry(map_id)):
            return "", hidden, hidden, gr.Timer(active=False), *gallery
        if (prompts := prompts_of(entry)) is None:
            return basics.hint(_NO_PROMPTS), hidden, hidden, gr.Timer(active=False), *gallery
        standing = self._standing(entry, prompts)
        return (
            _told(standing),
            gr.Button(visible=len(standing.found) > 1),
            gr.Button(visible=bool(standing.missing) and not standing.learning),
            gr.Timer(active=bool(standing.learning)),
            *gallery,
        )

    @user_errors
    def learn_others(self, map_id: str | None, painted: dict[str, Any]) -> tuple[Any, ...]:
        """Queue the methods without iterations for the prompts of a map; answers as `look`."""
        entry = self._studio.entry(map_id or "")
        self._studio.models.require(entry.model)
        if prompts := prompts_of(entry):
            standing = self._standing(entry, prompts)
            for name in standing.missing:
                self._studio.jobs.submit(_request(entry, prompts, standing.found, name))
        return self.look(map_id, painted)

    @user_errors
    def wait(self, map_id: str | None, painted: dict[str, Any]) -> tuple[Any, ...]:
        """As `look`, and once all have learnt the ids of the maps, so that they can be painted."""
        answer = self.look(map_id, painted)
        _, _, _, timer, *_ = answer
        if timer.active or not (entry := self._entry(map_id)):
            return *answer, gr.skip()
        return *answer, " ".join(e.id for e in self._found(entry))

    @user_errors
    def paint(
        self,
        map_id: str | None,
        prompt: str,
        seed: int | None,
        strength: float | None,
        request: gr.Request,
    ) -> Iterator[tuple[Any, ...]]:
        """Paint one prompt and seed with the map of every method, the original first.

        Yields:
            Labelled pictures so far, what they are, and all that brings one of them back.
        """
        if not map_id or None in (seed, strength):
            return
        entry, chosen = self._studio.entry(map_id), self._chosen.latest(request)
        self._studio.models.require(entry.model)
        text, seed, lam = prompt_text(prompt), seed_of(seed), number("λ", strength, -1, 1)
        found = self._found(entry)
        before = _measured(entry.metadata.get("heldout_start"))
        wanted = [(None, f"original{before}"), *((e, _caption(e)) for e in found)]
        painted = {"maps": ["", *(e.id for e in found)], "prompt": text, "seed": seed}
        painted["strength"] = lam
        for labelled in side_by_side(self._studio, wanted, text, lam, seed):
            if self._chosen.outdated(chosen, request):
                return
            left = len(wanted) - len(labelled)
            what = f"“{text}”, seed {seed}, λ = {lam:+g}: "
            what += f"{left} more to paint …" if left else f"click one to take it. {_FIGURE}"
            yield labelled, basics.hint(what), painted

    @user_errors
    def take(self, painted: dict[str, Any], event: gr.SelectData) -> tuple[Any, ...]:
        """The picture that was clicked, see `taken`."""
        return taken(self._studio, painted, event.index)

    def _entry(self, map_id: str | None) -> MapEntry | None:
        """The map; none where none is chosen, or it was deleted meanwhile."""
        with suppress(UserError):
            return self._studio.entry(map_id)
        return None

    def _found(self, entry: MapEntry) -> list[MapEntry]:
        return siblings(entry, self._studio.maps())

    def _standing(self, entry: MapEntry, prompts: PromptSet) -> _Standing:
        jobs = [
            job
            for job in self._studio.jobs.list()
            if job.request.model == entry.model and alike(job.request.prompts, prompts)
        ]
        return _Standing(self._found(entry), jobs)


def _request(
    entry: MapEntry, prompts: PromptSet, found: Sequence[MapEntry], method: str
) -> JobRequest:
    """What another method learns from the prompts of a map: at the same modules."""
    title = entry.title.removesuffix(f" · {entry.method_label}")
    label = _label(method)
    return JobRequest(
        title=f"{title[: LONGEST_TITLE - len(label) - 3]} · {label}",
        model=entry.model,
        prompts=prompts,
        config=METHODS[method].config,
        preset=_modules(found),
        method=method,
    )


def _modules(found: Sequence[MapEntry]) -> str | None:
    """A pattern for the modules that these maps steer; one alone is a method's own choice."""
    names = max((entry.metadata.get("modules", ()) for entry in found), key=len)
    return "|".join(map(re.escape, names)) if len(names) > 1 else None


def _told(standing: _Standing) -> str:
    if standing.learning:
        names = _listed([_label(name) for name in standing.learning][::-1])
        return basics.hint(f"Learning: {names}. Seconds each; the page may be closed meanwhile.")
    labels = [*dict.fromkeys(entry.method_label for entry in standing.found)]
    have = "has learnt" if len(labels) == 1 else "have learnt"
    sentence = f"{_listed(labels)} {have} from the prompts of this map."
    if len(standing.found) == 1:
        sentence += " Learn the others to see them side by side: they take one pass, seconds each."
    return basics.hint(sentence) + basics.warning(" ".join(standing.failures))


def _caption(entry: MapEntry) -> str:
    """Method and held-out distance; where it was taken at another λ than 1, that λ."""
    measured = _measured(entry.metadata.get("heldout"))
    at = f" at λ\N{NO-BREAK SPACE}{entry.strength:g}" if measured and entry.strength != 1 else ""
    return f"{entry.method_label}{measured}{at}"


def _measured(heldout: object) -> str:
    return f"\nheld-out {heldout:.2f}" if isinstance(heldout, float) else ""


def _label(method: str) -> str:
    return METHODS[method].label


def _listed(names: Sequence[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
