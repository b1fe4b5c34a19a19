"""The page: header, tabs, and the events between tabs. Layout only."""

from __future__ import annotations

import gradio as gr

from lineas_core.paths import ASSETS

from .events import IN_PAGE, QUIET
from .explain.handlers import ExplainHandlers
from .explain.tab import explain_tab
from .history.handlers import HistoryHandlers
from .history.panel import add_history
from .images.blind_handlers import BlindHandlers
from .images.handlers import ImageHandlers
from .images.methods_handlers import MethodsHandlers
from .images.mix_handlers import MixHandlers
from .images.overview_handlers import OverviewHandlers
from .images.tab import ImagesHandlers, images_tab
from .learn.form_handlers import FormHandlers
from .learn.job_handlers import JobHandlers
from .learn.tab import learn_tab
from .library.handlers import LibraryHandlers
from .library.tab import library_tab
from .results.tab import results_tab
from .scripts import script
from .studio.studio import Studio
from .text.handlers import TextHandlers
from .text.rates_handlers import RatesHandlers
from .text.tab import text_tab
from .widgets.install_handlers import InstallHandlers

__all__ = ["APPEARANCE", "build_demo"]

_HEADER = """
<header class="studio"><h1>LinEAS <span>Studio</span></h1>
<p>Turn a concept up or down inside a generative model, without changing the prompt.</p></header>
"""
# System fonts only, because the page must work offline.
_THEME = gr.themes.Base(
    primary_hue="teal",
    neutral_hue="slate",
    radius_size="lg",
    font=["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"],
    font_mono=["ui-monospace", "Consolas", "monospace"],
).set(
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="*neutral_300",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_300",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
)
APPEARANCE = {"theme": _THEME, "css_paths": ASSETS / "style.css"}
"""Arguments of `launch` for the appearance of the page."""


def build_demo(studio: Studio) -> gr.Blocks:
    """Build the page and its endpoints for programs."""
    pictures, texts = ImageHandlers(studio), TextHandlers(studio)
    mix, install = MixHandlers(studio), InstallHandlers(studio)
    rates, form, jobs = RatesHandlers(studio), FormHandlers(studio), JobHandlers(studio)
    maps, explain = LibraryHandlers(studio), ExplainHandlers(studio)
    history = HistoryHandlers(studio, mix.shown)
    images_handlers = ImagesHandlers(
        pictures,
        mix,
        OverviewHandlers(studio),
        MethodsHandlers(studio),
        BlindHandlers(studio),
        install,
    )
    with gr.Blocks(title="LinEAS Studio", delete_cache=(3600, 3600)) as demo:
        gr.HTML(_HEADER, apply_default_css=False)
        # Both stay empty until the page has loaded: its address, and the tab to open.
        home, start = (gr.Textbox(visible=False) for _ in range(2))
        with gr.Tabs(selected=studio.opens_on()) as tabs:
            with gr.Tab("Images", id="text-to-image") as images_frame:
                images = images_tab(images_handlers)
            with gr.Tab("Text", id="language") as text_frame:
                text = text_tab(texts, rates, install)
            with gr.Tab("Learn", id="learn"):
                learn = learn_tab(form, jobs, install)
            with gr.Tab("Library", id="library") as library_frame:
                library = library_tab(maps)
            with gr.Tab("How it works", id="explain") as explain_frame:
                explained = explain_tab(explain)
            with gr.Tab("Results", id="results"):
                results_tab(studio.tables)
        opened = demo.load(
            history.open,
            [home],
            [start, home, *images.restored, *text.restored],
            js=script("page_address"),
            **QUIET,
        )
        opened.then(None, [start], [tabs], js=script("open_tab"), **IN_PAGE)
        # Only the open tab starts model work.
        for frame, handlers, tab in (images_frame, pictures, images), (text_frame, texts, text):
            query = add_history(history, tab, home)
            menu = {"inputs": [tab.concept, home], "outputs": [tab.concept], **QUIET}
            frame.select(handlers.library, **menu)
            opened.then(handlers.library, js=script("if_tab_chosen", label=frame.label), **menu)
            frame.select(None, [query], None, js=script("show_address"), **IN_PAGE)
        library_frame.select(**library.refresh)
        explain_frame.select(explain.library, [explained], [explained], **QUIET)
        for button, map_id in ((learn.try_it, learn.job), (library.use, library.chosen)):
            into = [tabs, text.concept, images.concept]
            used = button.click(maps.use, [map_id], into, **QUIET)
            used.then(None, js=script("to_top"), **IN_PAGE)
        gr.api(maps.list_maps, api_name="list_maps", queue=False)
        gr.api(pictures.make_pictures, api_name="make_pictures", concurrency_id="model")
        gr.api(texts.continue_text, api_name="continue_text", concurrency_id="model")
        gr.api(rates.rates, api_name="rates")
        gr.api(form.learn, api_name="learn", queue=False)
        gr.api(jobs.job, api_name="job", queue=False)
        gr.api(jobs.stop, api_name="stop_job", queue=False)
        gr.api(jobs.resume, api_name="resume_job", queue=False)
    return demo
