"""The page: header, tabs and what passes between them. Layout only."""

from __future__ import annotations

import gradio as gr

from lineas_core.paths import ASSETS

from .events import IN_PAGE, QUIET
from .explain.handlers import ExplainHandlers
from .explain.tab import explain_tab
from .history.handlers import HistoryHandlers
from .history.panel import IF_CHOSEN, OPEN, SHOW_ADDRESS, TELL_ADDRESS
from .images.handlers import ImageHandlers
from .images.methods_handlers import MethodHandlers
from .images.mix_handlers import MixHandlers
from .images.overview_handlers import CompareHandlers
from .images.tab import images_tab
from .learn.form_handlers import LearnHandlers
from .learn.job_handlers import JobHandlers
from .learn.tab import learn_tab
from .library.handlers import LibraryHandlers
from .library.tab import library_tab
from .results.tab import results_tab
from .studio.studio import Studio
from .text.handlers import Handlers
from .text.rates_handlers import RatesHandlers
from .text.tab import text_tab

__all__ = ["LOOK", "build_demo"]

_HEADER = """
<header class="studio"><h1>LinEAS <span>Studio</span></h1>
<p>Turn a concept up or down inside a generative model, without changing the prompt.</p></header>
"""
# Only fonts that every machine has: the page must work without a network.
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
LOOK = {"theme": _THEME, "css_paths": ASSETS / "style.css"}
"""Arguments of `launch` that belong to the page."""


def build_demo(studio: Studio) -> gr.Blocks:
    """The page and its endpoints, over everything behind them."""
    handlers, painting, learning = Handlers(studio), ImageHandlers(studio), LearnHandlers(studio)
    watching, between = JobHandlers(studio), MethodHandlers(studio)
    rates, shelving = RatesHandlers(studio), LibraryHandlers(studio)
    mixing, comparing = MixHandlers(studio), CompareHandlers(studio)
    recalling, explaining = HistoryHandlers(studio, mixing), ExplainHandlers(studio)
    with gr.Blocks(title="LinEAS Studio", delete_cache=(3600, 3600)) as demo:
        gr.HTML(_HEADER, apply_default_css=False)
        # Both are empty until the page has opened.
        home, start = (gr.Textbox(visible=False) for _ in range(2))
        with gr.Tabs(selected=studio.opens_on()) as tabs:
            with gr.Tab("Images", id="text-to-image") as images_frame:
                images = images_tab(
                    painting, mixing, comparing, between, recalling, handlers, home
                )
            with gr.Tab("Text", id="language") as text_frame:
                text = text_tab(handlers, rates, recalling, home)
            with gr.Tab("Learn", id="learn"):
                learn = learn_tab(learning, watching, handlers)
            with gr.Tab("Library", id="library") as library_frame:
                library = library_tab(shelving)
            with gr.Tab("How it works", id="explain") as explain_frame:
                looked_into = explain_tab(explaining)
            with gr.Tab("Results", id="results"):
                results_tab(studio.tables)
        opened = demo.load(
            recalling.open,
            [home],
            [start, home, *images.restored, *text.restored],
            js=TELL_ADDRESS,
            **QUIET,
        )
        opened.then(None, [start], [tabs], js=OPEN, **IN_PAGE)
        # Only the tab that is looked at asks a model for work.
        looked_at = ((images_frame, painting, images), (text_frame, handlers, text))
        for frame, making, tab in looked_at:
            menu = {"fn": making.library, "inputs": [tab.concept, home], "outputs": [tab.concept]}
            frame.select(**menu, **QUIET)
            opened.then(**menu, js=IF_CHOSEN.format(label=frame.label), **QUIET)
            frame.select(None, [tab.query], None, js=SHOW_ADDRESS, **IN_PAGE)
        library_frame.select(**library.look)
        explain_frame.select(explaining.library, [looked_into], [looked_into], **QUIET)
        for button, map_id in ((learn.try_it, learn.job), (library.use, library.chosen)):
            into = [tabs, text.concept, images.concept]
            used = button.click(shelving.use, [map_id], into, **QUIET)
            used.then(None, js="() => scrollTo(0, 0)", **IN_PAGE)
        gr.api(handlers.list_maps, api_name="list_maps", queue=False)
        gr.api(painting.make_pictures, api_name="make_pictures", concurrency_id="model")
        gr.api(handlers.continue_text, api_name="continue_text", concurrency_id="model")
        gr.api(rates.rates, api_name="rates")
        gr.api(learning.learn, api_name="learn", queue=False)
        gr.api(watching.job, api_name="job", queue=False)
        gr.api(watching.stop, api_name="stop_job", queue=False)
        gr.api(watching.resume, api_name="resume_job", queue=False)
    return demo
