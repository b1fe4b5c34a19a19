"""Installed models, what others are and need, their installation, and exclusive access to one.

A steered model is shared state: the hooks of one request would steer the results of another.
Therefore one lock guards every use of any model. A generator that is closed early, because the
browser tab was closed, releases the lock and the hooks like one that ran to its end. Models that
nobody uses for a while give their memory back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from queue import SimpleQueue
from threading import Event, Lock, Timer
from typing import Any

from lineas_core import UserError, load_model
from lineas_core.models import (
    LanguageModel,
    ModelDescription,
    damage,
    describe,
    fetch,
    files_here,
    fits,
    folder_of,
    installed,
    title_of,
    unconverted,
)
from lineas_core.models.catalog import MODELS
from lineas_core.models.chat import has_template
from lineas_core.models.locations import locate, on_the_hub
from lineas_core.models.outline import device_for
from lineas_core.models.reading import Reader, load_reader
from lineas_core.models.vocabulary import known_words, unknown_words
from lineas_core.runtime.memory import release_memory, total_memory
from lineas_core.runtime.reporting import on_change

from .fair_lock import FairLock
from .together import Together

__all__ = ["Models"]

_MODELS_KEPT = 2
_IDLE_SECONDS = 900
_LOOK_SECONDS = 0.2  # between two looks whether an installation that waits was cancelled


class Models:
    """All models by name; the ones used last stay loaded.

    Attributes:
        together: continues texts with a model that `use` has yielded.
    """

    def __init__(self, idle_seconds: float = _IDLE_SECONDS) -> None:
        """Start without a loaded model; a model is loaded when it is first used.

        Args:
            idle_seconds: time without any use after which all models are released.
        """
        self._kept: dict[str, Any] = {}  # in order of use
        self._permanent: dict[str, LanguageModel] = {}
        self._turns, self._installing = FairLock(), Lock()
        self.together = Together(self.use_again)
        self._idle_seconds, self._used = idle_seconds, time.monotonic()
        self._idle: Timer | None = None
        self._readers: dict[str, Reader] = {}
        self._described: dict[str, ModelDescription] = {}
        # Model, and whether it is cancelled, of each installation; two can be of one model.
        self._installations: list[tuple[str, Event]] = []

    @property
    def loaded(self) -> list[str]:
        """The names of the loaded models; the one used last comes last."""
        return [*self._permanent, *self._kept]

    @property
    def busy(self) -> bool:
        """Whether a request is using a model."""
        return self._turns.locked()

    @contextmanager
    def use(self, name: str) -> Iterator[Any]:
        """Acquire the lock, load the model and hold it for the duration of the `with` block.

        Raises:
            UserError: the model is not installed or cannot be loaded.
        """
        with self._turn():
            self.together.tidy()
            yield self._loaded(name)

    @contextmanager
    def use_again(self) -> Iterator[None]:
        """Acquire the lock for a model that `use` has yielded and that the caller has kept."""
        with self._turn():
            yield

    def keep(self, model: LanguageModel) -> None:
        """Use a model whose weights are in memory anyway, instead of loading it again."""
        self._permanent[model.name] = model

    def installed(self, name: str) -> bool:
        """Return whether all files of a model are on this machine."""
        return installed(name)

    def unconverted(self, name: str) -> int:
        """Return how many bytes of pickled weights of an installed model are to be converted."""
        return unconverted(name)

    def catalog(self) -> list[str]:
        """Return the models of the catalog for which this machine has the memory."""
        return [name for name in MODELS if fits(name)]

    def chats(self, name: str) -> bool:
        """Return whether a model is known to have a chat template."""
        return MODELS[name].chat if name in MODELS else has_template(files_here(name))

    def describe(self, name: str) -> ModelDescription:
        """Describe a model without its weights; the hub is asked once for each.

        Raises:
            UserError: the model cannot be loaded, whatever the memory.
        """
        known = self._described.get(name)
        if known is None or (known.download == 0) != self.installed(known.name):
            known = describe(name)
            self._described |= {name: known, known.name: known}
        return known

    def checked(self, name: str) -> str:
        """Return the name under which maps remember a model, if this machine can run it.

        Args:
            name: catalog name, hub id or folder; what the hub has need not be here yet.

        Raises:
            UserError: it cannot be loaded, or needs more memory than there is.
        """
        if name in MODELS and self.installed(name):
            return name
        found = self.describe(name)
        if found.memory > (memory := total_memory()):
            needed = f"{found.memory / 1e9:,.1f} GB"
            there = f"{memory / 1e9:,.1f} GB"
            what = f"{title_of(name)} needs {needed} of memory, and this machine has {there}"
            remedy = "Choose a smaller model, or a machine with a larger GPU."
            raise UserError("E_MEMORY", what, remedy=remedy)
        return found.name

    def require(self, name: str) -> None:
        """Check that a model is installed.

        Raises:
            UserError: it is not, or its files are damaged.
        """
        if self.installed(name):
            return
        if on_the_hub(name):
            what, remedy = f"{title_of(name)} is not on this machine yet", "Click “Download”."
            raise UserError("E_NOT_INSTALLED", what, remedy=remedy)
        if name not in MODELS:
            locate(name)  # says what is wrong with a folder
        entry, folder = MODELS[name], folder_of(name)
        state = f"damaged ({damage(folder)})" if folder.exists() else "not installed yet"
        remedy = f"Download the project again; the weights belong to {entry.folder}."
        if entry.embedded:
            remedy = f"Click “Install {entry.title}”."
        raise UserError("E_NOT_INSTALLED", f"{entry.title} is {state}", remedy=remedy)

    def install(self, name: str) -> Iterator[str]:
        """Download and convert a model.

        The work continues if the generator is closed, until `cancel` is called.

        Yields:
            One sentence per step.

        Raises:
            UserError: the work failed, or was cancelled.
        """
        sentences: SimpleQueue[str | None] = SimpleQueue()
        mine = name, cancelled = name, Event()
        put = on_change(sentences.put)

        def tell(sentence: str) -> None:
            if cancelled.is_set():
                remedy = "What is complete is kept: the next try continues from there."
                raise UserError("E_CANCELLED", "the installation was cancelled", remedy=remedy)
            put(sentence)

        def work() -> None:
            try:
                with self._alone(name, tell):  # a second click finds the model installed
                    fetch(name, tell)
            finally:
                self._installations.remove(mine)
                sentences.put(None)

        self._installations.append(mine)
        pool = ThreadPoolExecutor(1)
        outcome = pool.submit(work)
        pool.shutdown(wait=False)
        yield from iter(sentences.get, None)
        outcome.result()

    def cancel(self, name: str) -> None:
        """End the installations of a model within a second, also those that wait."""
        for model, cancelled in [*self._installations]:
            if model == name:
                cancelled.set()

    def words(self, name: str) -> dict[str, tuple[str, ...]]:
        """Return the vocabulary of a model by heading; empty if it has no word list."""
        folder = files_here(name)
        return known_words(folder) if folder else {}

    def unknown_words(self, name: str, prompt: str) -> dict[str, str]:
        """Return the words of a prompt that a small model has not learnt, see `vocabulary`."""
        folder = files_here(name)
        return unknown_words(prompt, folder) if folder else {}

    def cut_prompts(
        self, name: str, source: Sequence[str], target: Sequence[str] = ()
    ) -> list[str]:
        """Describe the prompts that are longer than a model reads, see `Reader.describe`.

        The weights are not loaded. The result is empty for a model that is not on this machine.
        """
        if name not in self._readers:
            folder = files_here(name)
            reader = load_reader(folder) if folder else None
            if reader is None:  # it may be installed later
                return []
            self._readers[name] = reader
        return self._readers[name].describe(source, target)

    @contextmanager
    def _alone(self, name: str, tell: Callable[[str], None]) -> Iterator[None]:
        """Install nothing else meanwhile; `tell` is called as in `fetch` while another does."""
        while not self._installing.acquire(timeout=_LOOK_SECONDS):
            tell(f"{title_of(name)}: waiting for another download …")
        try:
            yield
        finally:
            self._installing.release()

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock; afterwards the idle time starts anew."""
        with self._turns:
            try:
                yield
            finally:
                self._used = time.monotonic()
                if self._idle is None:
                    self._look_after(self._idle_seconds)

    def _look_after(self, seconds: float) -> None:
        """Look after some seconds whether the models are idle; the caller must hold the lock."""
        self._idle = Timer(seconds, self._release)
        self._idle.daemon = True
        self._idle.start()

    def _release(self) -> None:
        with self._turns:
            left = self._idle_seconds - (time.monotonic() - self._used)
            if left > 0:
                self._look_after(left)
                return
            self._idle = None
            self._kept.clear()
            self.together.tidy()
        release_memory()

    def _loaded(self, name: str) -> Any:
        """Return a kept model, or load it. The caller must hold the lock."""
        if name in self._permanent:
            return self._permanent[name]
        self.require(name)
        model = self._kept.pop(name, None)
        if model is None:
            while len(self._kept) >= _MODELS_KEPT:
                del self._kept[next(iter(self._kept))]
            model = load_model(name, device=device_for(name))
        self._kept[name] = model
        return model
