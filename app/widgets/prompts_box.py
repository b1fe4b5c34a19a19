"""A box of prompts, one on each line, that a file can fill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from lineas_core import PromptSet
from lineas_core.prompts.files import read_file

from ..events import QUIET, inform, user_errors
from ..uploads import PROMPT_TYPES

__all__ = ["prompts_box", "read_prompts"]


def prompts_box(label: str, elem_id: str | None = None) -> gr.Textbox:
    """Declare the box, and the button that fills it from a file of any of `PROMPT_TYPES`.

    Args:
        label: its label.
        elem_id: tells it from another box with this label in the same tab of the page.
    """
    size: dict[str, Any] = {"lines": 6, "max_lines": 12, "max_length": 400_000}
    box = gr.Textbox(label=label, info="One per line.", elem_id=elem_id, **size)
    with gr.Row(elem_classes="ask-for"):
        upload = gr.UploadButton(
            f"Upload {label.lower()}",
            file_types=[*PROMPT_TYPES],
            size="sm",
            scale=0,
            min_width=160,
        )
    upload.upload(read_prompts, [upload], [box], **QUIET)
    return box


@user_errors
def read_prompts(path: str) -> str:
    """Read the prompts of an uploaded file, one per line; what is dropped is named."""
    prompts, notes = PromptSet.parse_side(*read_file(Path(path)))
    inform(notes)
    return "\n".join(" ".join(prompt.splitlines()) for prompt in prompts)
