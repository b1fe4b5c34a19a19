"""Event handlers of a batch, shared by the tabs that steer."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import gradio as gr

from ..events import LatestRequest, user_errors
from ..html import basics
from ..studio.maps import MapEntry
from ..studio.studio import Studio
from .stop_button import stop_shown, stopping

__all__ = ["COUNTING", "SAME", "BatchHandlers", "BatchView", "Step"]

SAME, COUNTING = "same", "counting"
"""How the prompts of a batch get their seeds."""

Step = tuple[int, str]
"""Number of prompts that are done, and their results as HTML."""


class BatchView(NamedTuple):
    """Updates of the panel."""

    progress: Any = gr.skip()
    result: Any = gr.skip()
    start: Any = gr.skip()
    stop: Any = gr.skip()
    download: Any = gr.skip()


class BatchHandlers:
    """The event handlers that the batches of pictures and of texts have."""

    def __init__(self, studio: Studio) -> None:
        self._studio, self._requests = studio, LatestRequest()

    @user_errors
    def first_prompts(self, typed: str | None, map_id: str | None) -> Any:
        """Fill an empty box with examples, for `unless_typed`; what was typed stays."""
        if (typed or "").strip() or not map_id:
            return gr.skip()
        return [typed, "\n".join(self._examples(self._studio.entry(map_id)))]

    def stop(self, request: gr.Request) -> gr.Button:
        """Stop after the current prompt; what is done can be downloaded."""
        self._requests.new(request)
        return stopping()

    def _examples(self, entry: MapEntry) -> list[str]:
        raise NotImplementedError

    def _follow(
        self,
        name: str,
        total: int,
        notes: str,
        begin: Callable[[Path], Generator[Step, None, None]],
        request: gr.Request,
    ) -> Iterator[BatchView]:
        """Show a batch while it is made, and offer its file.

        Args:
            name: name of the file.
            total: number of prompts.
            notes: what to say about them besides, as HTML.
            begin: starts the batch, which writes the file while it runs.
            request: identifies the browser session, which can stop the batch.
        """
        number, started, step = self._requests.new(request), time.monotonic(), (0, "")

        def progress(done: int) -> str:
            return basics.progress(done, total, "prompts", time.monotonic() - started) + notes

        yield BatchView(progress(0), "", *_buttons(busy=True))
        with TemporaryDirectory() as folder:  # Gradio copies the file before the generator ends
            file = Path(folder, name)
            try:
                with closing(begin(file)) as steps:
                    for new in steps:
                        # The results so far are many: they are sent if they are new.
                        result = gr.skip() if new == step else new[1]
                        step = new
                        if self._requests.outdated(number, request):
                            break
                        yield BatchView(progress(step[0]), result)
            except Exception:  # what is done is kept
                yield _over(step, total, notes, file)
                raise
            yield _over(step, total, notes, file)


def _over(step: Step, total: int, notes: str, file: Path) -> BatchView:
    done, result = step
    told = basics.hint(f"{done} of {total} prompts are done.") + notes
    return BatchView(told, result, *_buttons(file if done else None))


def _buttons(file: Path | None = None, *, busy: bool = False) -> tuple[Any, ...]:
    """Return updates of the buttons: either the one that stops, or those that start and save."""
    download = gr.DownloadButton(value=str(file) if file else None, visible=bool(file))
    return gr.Button(visible=not busy), stop_shown(busy=busy), download
