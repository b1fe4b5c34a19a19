"""The layout of the Results tab: what was measured, as a sentence, a drawing and tables."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import NamedTuple

import gradio as gr

from lineas_core.tables import DETAILS, EDITIONS, TABLES, stem_of

__all__ = ["results_tab"]

_ABOUT = """All numbers were measured on the models that come with the project, with maps that
were learnt from the shipped prompts and evaluated on other prompts. Each table names the command
that recomputes it on your machine; you can interrupt it and continue later."""
_EXAMPLES = """Every row is one prompt, painted with one seed. The middle column is the original.
In the first three rows the prompt names a concept (the vaporwave style, a car, a robot), which
disappears to the right. In the last three it names none, and a car, water and the fantasy style
appear to the left."""
_TYPES = {".svg": "svg+xml", ".jpg": "jpeg"}


class _Page(NamedTuple):
    """The parts of a page that `python -m lineas_core evaluate` has written."""

    title: str
    verdict: str
    short: str
    details: str


def results_tab(folder: Path) -> None:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        folder: output folder of `python -m lineas_core evaluate`; beside it lies the picture of
            examples, if there is one.
    """
    stems = [stem_of(name, edition) for name in TABLES for edition in EDITIONS]
    files = [folder / f"{stem}.md" for stem in stems if (folder / f"{stem}.json").exists()]
    if not files:
        command = "`python -m lineas_core evaluate topics`"
        gr.Markdown(f"There are no tables yet. {command} computes the first one.")
        return
    with gr.Column(elem_classes="results"):
        examples = folder.parent / "strips.jpg"
        if examples.exists():
            gr.HTML(_picture(examples, "Six rows of nine pictures"), apply_default_css=False)
            gr.Markdown(_EXAMPLES)
        gr.Markdown(_ABOUT)
        for file in files:
            _result(_read(file), file.with_suffix(".svg"))


def _result(page: _Page, drawing: Path) -> None:
    gr.Markdown(f"## {page.title}\n\n{page.verdict}")
    if drawing.exists() or page.short:
        with gr.Accordion("Drawing and table", open=False):
            if drawing.exists():
                about = f"{page.title}, as curves"
                gr.HTML(_picture(drawing, about), apply_default_css=False)
            gr.Markdown(page.short)
    with gr.Accordion("How it was measured", open=False):
        gr.Markdown(page.details)


def _read(file: Path) -> _Page:
    title, _, text = file.read_text(encoding="utf-8").partition("\n")
    first, _, details = text.partition(DETAILS)
    verdict, _, short = first.strip().partition("\n\n")
    return _Page(title.lstrip("# "), verdict, short, details.strip())


def _picture(file: Path, about: str) -> str:
    data = base64.b64encode(file.read_bytes()).decode()
    kind = _TYPES[file.suffix]
    return f'<img class="drawing" src="data:image/{kind};base64,{data}" alt="{about}">'
