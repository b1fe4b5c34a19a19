"""Rows for further concepts, below the first one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import gradio as gr

from ..events import QUIET
from ..studio.mix import MOST_FURTHER
from .mix_handlers import MixHandlers

__all__ = ["MixRows", "mix"]


@dataclass(frozen=True)
class MixRows:
    """What other parts of the tab wire.

    Attributes:
        further: the pairs of map and λ that act after the first one.
        answers: what the events of `MixHandlers` answer.
    """

    further: gr.State
    answers: Sequence[gr.blocks.Block]


def mix(
    handlers: MixHandlers, concept: gr.Dropdown, strength: gr.Slider, kept: gr.State
) -> MixRows:
    """Declare the rows and the button that opens them.

    Args:
        handlers: what the events do.
        concept: menu of the first map.
        strength: its slider.
        kept: the map that comes with a λ of its own, see `HistoryHandlers`.
    """
    further = gr.State([])
    values, answers, buttons = [], [], []
    for place in range(MOST_FURTHER):
        with gr.Column(visible=False, elem_classes="further") as frame:
            with gr.Row():
                map_id = gr.Dropdown([], label=f"Concept {place + 2}", min_width=120, scale=5)
                # What is read out is the name; what is seen, the sign that the style draws.
                up, close = (
                    gr.Button(
                        f"{what} concept {place + 2}",
                        size="sm",
                        min_width=36,
                        scale=0,
                        elem_classes=["sign", sign],
                    )
                    for what, sign in (("Move up", "up"), ("Remove", "close"))
                )
            lam = gr.Slider(
                -1, 1, value=0.5, step=0.05, label=f"λ of concept {place + 2}", buttons=[]
            )
        values += [map_id, lam]
        answers += [frame, map_id, lam]
        buttons.append((up, close))
    add = gr.Button("Add a concept", size="sm", visible=False)
    answers.append(add)

    add.click(handlers.add, [concept, *values], answers, **QUIET)
    concept.change(handlers.fit, [concept, *values], answers, **QUIET)
    for place, (up, close) in enumerate(buttons):
        close.click(partial(handlers.remove, place), [concept, *values], answers, **QUIET)
        up.click(
            partial(handlers.move_up, place),
            [concept, strength, *values],
            [concept, strength, kept, *answers],
            **QUIET,
        )
    gr.on(
        [value.change for value in values],
        handlers.gather,
        values,
        [further],
        trigger_mode="always_last",
        **QUIET,
    )
    return MixRows(further, answers)
