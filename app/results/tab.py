"""The Results tab: the tables that come with the project, each with the command that made it."""

from __future__ import annotations

import base64
from pathlib import Path

import gradio as gr

from lineas_core.tables import EDITIONS, TABLES, stem_of

__all__ = ["results_tab"]

_ABOUT = """Every figure here was measured on the models that come with the project, with maps
learnt from the shipped prompts and judged on others. The line below a table is the command that
makes it on your machine; what is done is kept, so it can be interrupted."""


def results_tab(folder: Path) -> None:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        folder: holds what `python -m lineas_core evaluate` writes.
    """
    stems = [stem_of(name, edition) for name in TABLES for edition in EDITIONS]
    pages = [folder / f"{stem}.md" for stem in stems if (folder / f"{stem}.json").exists()]
    if not pages:
        gr.Markdown("No tables yet. `python -m lineas_core evaluate topics` makes the first.")
        return
    gr.Markdown(_ABOUT)
    for number, file in enumerate(pages):
        title, _, text = file.read_text(encoding="utf-8").partition("\n")
        with gr.Accordion(title.lstrip("# "), open=number == 0, elem_classes="results"):
            drawing = file.with_suffix(".svg")
            if drawing.exists():
                gr.HTML(_picture(drawing, title.lstrip("# ")), apply_default_css=False)
            gr.Markdown(text.strip())


def _picture(file: Path, title: str) -> str:
    data = base64.b64encode(file.read_bytes()).decode()
    return f'<img class="drawing" src="data:image/svg+xml;base64,{data}" alt="{title}, as curves">'
