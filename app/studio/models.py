"""The models: which are there, how they get there, and whose turn it is to use one.

A steered model is shared state: hooks of one request would steer another one's text. So one
lock stands around every use of a model, whichever it is: they share one machine. A generator
that is closed early (the browser tab went away) gives back lock and hooks like one that ran to
its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any

from lineas_core import UserError, load_model
from lineas_core.models import fetch, folder_of, installed
from lineas_core.models.catalog import MODELS

from .fair_lock import FairLock
from .vocabulary import known_words, unknown_words

__all__ = ["Models"]

_MODELS_KEPT = 2


class Models:
    """All models by name, of which a few stay loaded."""

    def __init__(self) -> None:
        """Load nothing yet: that is done when a model is first used."""
        self._kept: dict[str, Any] = {}  # the one used last stands last
        self._turns, self._installing = FairLock(), Lock()

    @contextmanager
    def use(self, name: str) -> Iterator[Any]:
        """Wait for one's turn, then have this model to oneself for the length of a `with` block.

        Raises:
            UserError: the model is not on this machine or cannot be loaded.
        """
        with self._turns:
            yield self._loaded(name)

    def installed(self, name: str) -> bool:
        """Whether a model is ready to load; one from the hub is left to transformers."""
        entry = MODELS.get(name)
        return entry is None or not (entry.embedded or entry.folder) or installed(name)

    def require(self, name: str) -> None:
        """Refuse a model that would have to be installed first.

        Raises:
            UserError: it is not on this machine.
        """
        if not self.installed(name):
            entry = MODELS[name]
            raise UserError(
                "E_NOT_INSTALLED",
                f"{entry.title} is not on this machine yet",
                remedy=f"Click “Install {entry.title}”."
                if entry.embedded
                else f"Get the whole project again: its weights belong to {entry.folder}.",
            )

    def install(self, name: str) -> Iterator[str]:
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
                    fetch(name, sentences.put)
            finally:
                sentences.put(None)

        pool = ThreadPoolExecutor(1)
        outcome = pool.submit(work)
        pool.shutdown(wait=False)
        yield from iter(sentences.get, None)
        outcome.result()

    def words(self, name: str) -> dict[str, tuple[str, ...]]:
        """The words that a model knows, by heading; empty where nothing is told about it."""
        return known_words(_folder(name))

    def unknown_words(self, name: str, prompt: str) -> tuple[str, ...]:
        """Words of a prompt that a small model has not learnt."""
        return unknown_words(prompt, _folder(name))

    def _loaded(self, name: str) -> Any:
        """Load a model or take it from the few that are kept; it must be our turn."""
        self.require(name)
        model = self._kept.pop(name, None)
        if model is None:
            while len(self._kept) >= _MODELS_KEPT:
                del self._kept[next(iter(self._kept))]
            model = load_model(name)
        self._kept[name] = model
        return model


def _folder(name: str) -> Path:
    return folder_of(name) if name in MODELS else Path(name)
