"""The seed of a result, with a button that draws another one and a lock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..events import IN_PAGE
from ..scripts import script
from ..studio.settings import SEED

__all__ = ["SeedBox", "seed_box"]


@dataclass(frozen=True)
class SeedBox:
    """The seed, for other parts of a tab.

    Attributes:
        number: the seed.
        another: the button that draws another seed.
        lock: keeps the seed where a prompt is sent.
        drawn: the event after another seed was drawn.
    """

    number: gr.Number
    another: gr.Button
    lock: gr.Checkbox
    drawn: gr.events.Dependency

    @property
    def renewal(self) -> dict[str, Any]:
        """Arguments of an event that draws another seed, unless it is locked."""
        inputs, js = [self.lock, self.number], script("draw_seed")
        return {"fn": None, "inputs": inputs, "outputs": [self.number], "js": js, **IN_PAGE}


def seed_box() -> SeedBox:
    """Declare the seed, the button and the lock, which is closed at first."""
    with gr.Row(elem_classes="seed"):
        number = gr.Number(SEED, label="Seed", precision=0, min_width=90)
        # Screen readers announce the name; the style sheet shows a die instead.
        another = gr.Button(
            "Another seed", size="sm", min_width=40, scale=0, elem_classes=["sign", "die"]
        )
        lock = gr.Checkbox(True, label="Lock", container=False, min_width=70)
    drawn = another.click(None, None, [number], js=script("draw_seed"), **IN_PAGE)
    return SeedBox(number, another, lock, drawn)
