"""The layout of the Results tab: the shipped tables, each with the command that computes it."""

from __future__ import annotations

import base64
from pathlib import Path

import gradio as gr

from lineas_core.tables import EDITIONS, TABLES, stem_of

__all__ = ["results_tab"]

_ABOUT = """All numbers were measured on the models that come with the project, with maps that
were learnt from the shipped prompts and evaluated on other prompts. The command below each table
reproduces it on your machine; you can interrupt it and continue later."""


def results_tab(folder: Path) -> None:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        folder: output folder of `python -m lineas_core evaluate`.
    """
    stems = [stem_of(name, edition) for name in TABLES for edition in EDITIONS]
    pages = [folder / f"{stem}.md" for stem in stems if (folder / f"{stem}.json").exists()]
    if not pages:
        command = "`python -m lineas_core evaluate topics`"
        gr.Markdown(f"There are no tables yet. {command} computes the first one.")
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
