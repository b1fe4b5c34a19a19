"""The panel of a batch: prompts in, results beside their originals out, and a file to download."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import gradio as gr
from gradio.blocks import Block

from ..events import HIDDEN, MODEL, QUIET
from ..html import basics
from .batch_handlers import COUNTING, SAME, BatchHandlers
from .prompts_box import prompts_box
from .stop_button import stop_button
from .unless_typed import unless_typed

__all__ = ["batch_box"]

_SEEDS = {
    "The same seed for every prompt": SAME,
    "Add 1 to the seed for each prompt": COUNTING,
}
_HINT = (
    "Each prompt gives two results: one without steering, one at the λ of the slider. The batch "
    "runs only while this page is open."
)


def batch_box(
    frame: gr.Tab,
    handlers: BatchHandlers,
    run: Callable,
    concept: gr.Dropdown,
    asked: Sequence[Block],
    download: str,
) -> None:
    """Declare the panel inside the current tab.

    Args:
        frame: that tab; an empty box gets examples when it is opened.
        handlers: event handlers of the panel.
        run: the one that makes the batch, from the prompts, the rule for the seeds and `asked`.
        concept: menu of maps.
        asked: the settings of the tab.
        download: label of the button that saves the results.
    """
    prompts = prompts_box("Prompts")
    seeds = gr.Radio([*_SEEDS.items()], value=SAME, label="Seeds")
    gr.HTML(basics.hint(_HINT), apply_default_css=False)
    with gr.Row(elem_classes="ask-for"):
        start = gr.Button("Start the batch", size="sm", scale=0, min_width=160)
        stop = stop_button(variant="stop", size="sm", scale=0, min_width=160)
        save = gr.DownloadButton(download, size="sm", scale=0, min_width=160, visible=False)
    progress = gr.HTML(apply_default_css=False)
    result = gr.HTML(apply_default_css=False, elem_classes="batch")
    frame.select(handlers.first_prompts, [prompts, concept], [unless_typed(prompts)], **QUIET)
    start.click(
        run,
        [prompts, seeds, *asked],
        [progress, result, start, stop, save],  # as in `BatchView`
        **HIDDEN,
        **MODEL,
    )
    stop.click(handlers.stop, None, [stop], **QUIET)
