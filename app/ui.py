"""The page: header, tabs, and the events between tabs. Layout only."""

from __future__ import annotations

from typing import Any, NamedTuple

import gradio as gr

from lineas_core.paths import ASSETS

from .blocks import StudioBlocks
from .chat.handlers import ChatHandlers
from .chat.tab import ChatTab, chat_tab
from .events import IN_PAGE, MODEL, QUIET
from .explain.handlers import ExplainHandlers
from .explain.tab import explain_tab
from .history.handlers import HistoryHandlers
from .history.panel import add_history
from .images.batch_handlers import ImageBatchHandlers
from .images.blind_handlers import BlindHandlers
from .images.endpoint import PictureEndpoint
from .images.follow_handlers import FollowHandlers
from .images.grid_handlers import GridHandlers
from .images.handlers import ImageHandlers
from .images.methods_handlers import MethodsHandlers
from .images.mix_handlers import MixHandlers
from .images.overview_handlers import OverviewHandlers
from .images.save_handlers import SaveHandlers
from .images.tab import ImagesHandlers, images_tab
from .learn.endpoint import LearnEndpoint
from .learn.form_handlers import FormHandlers
from .learn.job_handlers import JobHandlers
from .learn.model_handlers import ModelHandlers
from .learn.tab import LearnHandlers, LearnTab, learn_tab
from .learn.upload_handlers import UploadHandlers
from .library.export_handlers import ExportHandlers
from .library.handlers import LibraryHandlers
from .library.tab import LibraryTab, library_tab
from .results.tab import results_tab
from .scripts import script
from .studio.studio import Studio
from .text.batch_handlers import TextBatchHandlers
from .text.blind_handlers import BlindTextHandlers
from .text.handlers import TextHandlers
from .text.rates_handlers import RatesHandlers
from .text.tab import TextTabHandlers, text_tab
from .widgets.install_handlers import InstallHandlers
from .widgets.steering import SteeringHandlers, SteeringTab

__all__ = ["APPEARANCE", "build_demo"]

_HEADER = """
<header class="studio"><h1>LinEAS <span>Studio</span></h1>
<p>Turn a concept up or down inside a generative model, without changing the prompt.</p>{}</header>
"""
_DEMO = """<div class="hint">This is a public demo: choose a map and move the slider. To learn maps
or change the library, install LinEAS Studio on your own machine.</div>"""
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
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="*neutral_300",
    button_primary_background_fill="*primary_700",
    button_primary_background_fill_hover="*primary_800",
    button_primary_background_fill_dark="*primary_700",
    button_primary_background_fill_hover_dark="*primary_600",
)
APPEARANCE = {"theme": _THEME, "css_paths": ASSETS / "style.css"}
"""Arguments of `launch` for the appearance of the page."""


class _Handlers:
    """The event handlers of all tabs."""

    def __init__(self, studio: Studio) -> None:
        self.images, self.text = ImageHandlers(studio), TextHandlers(studio)
        self.pictures = PictureEndpoint(studio)
        self.mix, self.install = MixHandlers(studio), InstallHandlers(studio)
        self.follow = FollowHandlers(studio, self.images)
        self.overview, self.methods = OverviewHandlers(studio), MethodsHandlers(studio)
        self.grid, self.save = GridHandlers(studio), SaveHandlers(studio)
        self.blind, self.rates = BlindHandlers(studio), RatesHandlers(studio)
        self.blind_texts = BlindTextHandlers(studio)
        self.many_pictures = ImageBatchHandlers(studio)
        self.many_texts = TextBatchHandlers(studio)
        self.form, self.uploads = FormHandlers(studio), UploadHandlers()
        self.models, self.learn = ModelHandlers(studio), LearnEndpoint(studio)
        self.jobs, self.chat = JobHandlers(studio), ChatHandlers(studio)
        self.library, self.explain = LibraryHandlers(studio), ExplainHandlers(studio)
        self.exports = ExportHandlers(studio, self.library)
        self.history = HistoryHandlers(studio, self.mix.show)


class _Frames(NamedTuple):
    """The tabs that have events when they are opened."""

    images: gr.Tab
    text: gr.Tab
    chat: gr.Tab
    learn: gr.Tab
    library: gr.Tab
    explain: gr.Tab


class _Page(NamedTuple):
    """The components of the page that events of several tabs use."""

    tabs: gr.Tabs
    frames: _Frames
    images: SteeringTab
    text: SteeringTab
    chat: ChatTab
    learn: LearnTab
    library: LibraryTab
    explained: gr.Dropdown


def build_demo(studio: Studio) -> gr.Blocks:
    """Build the page and its endpoints for programs."""
    handlers = _Handlers(studio)
    # Looked at every hour; what is offered to download is there for a day.
    options: dict[str, Any] = {"title": "LinEAS Studio", "delete_cache": (3600, 86400)}
    with StudioBlocks(read_only=studio.read_only, **options) as demo:
        gr.HTML(_HEADER.format(_DEMO if studio.read_only else ""), apply_default_css=False)
        # Both stay empty until the page has loaded: its address, and the tab to open.
        home, start = (gr.Textbox(visible=False) for _ in range(2))
        page = _tabs(handlers, studio)
        opened = demo.load(
            handlers.history.open,
            [home],
            [start, home, *page.images.restored, *page.text.restored],
            js=script("page_address"),
            **QUIET,
        )
        shown = opened.then(None, [start], [page.tabs], js=script("open_tab"), **IN_PAGE)
        shown.then(None, js=script("tab_address", opened=True), **IN_PAGE)
        page.tabs.change(None, js=script("tab_address", opened=False), **IN_PAGE)
        opened.then(None, js=script("keep_typed"), **IN_PAGE)
        opened.then(**page.chat.restore)
        demo.load(None, js=script("names"), **IN_PAGE)
        for frame, events, tab in (
            (page.frames.images, handlers.images, page.images),
            (page.frames.text, handlers.text, page.text),
        ):
            add_history(handlers.history, tab, frame, home)
            _update_menu(frame, events, tab, home, opened)
        _update_menu(page.frames.chat, handlers.chat, page.chat, home, opened)
        _open_maps(handlers.library, page)
        page.frames.library.select(**page.library.refresh)
        if not studio.read_only:
            page.frames.learn.select(handlers.jobs.prepare, None, None, **QUIET)
        menu = [page.explained]
        page.frames.explain.select(handlers.explain.library, menu, menu, **QUIET)
        _endpoints(handlers, read_only=studio.read_only)
    return demo


def _tabs(handlers: _Handlers, studio: Studio) -> _Page:
    with gr.Tabs(selected=studio.opens_on(), overflow_behavior="wrap") as tabs:
        with gr.Tab("Images", id="text-to-image", elem_id="tab-images") as images_frame:
            images = images_tab(
                ImagesHandlers(
                    *(handlers.images, handlers.follow, handlers.save, handlers.mix),
                    *(handlers.overview, handlers.methods, handlers.grid),
                    *(handlers.many_pictures, handlers.blind, handlers.install),
                )
            )
        with gr.Tab("Text", id="language", elem_id="tab-text") as text_frame:
            text = text_tab(
                TextTabHandlers(
                    *(handlers.text, handlers.rates, handlers.many_texts),
                    *(handlers.blind_texts, handlers.install),
                )
            )
        with gr.Tab("Chat", id="chat", elem_id="tab-chat") as chat_frame:
            chat = chat_tab(handlers.chat, handlers.install)
        with gr.Tab(
            "Learn", id="learn", elem_id="tab-learn", visible=not studio.read_only
        ) as learn_frame:
            learn = learn_tab(
                LearnHandlers(
                    *(handlers.form, handlers.models, handlers.uploads),
                    *(handlers.jobs, handlers.install),
                ),
                read_only=studio.read_only,
            )
        with gr.Tab("Library", id="library", elem_id="tab-library") as library_frame:
            library = library_tab(handlers.library, handlers.exports)
        with gr.Tab("How it works", id="explain", elem_id="tab-how-it-works") as explain_frame:
            explained = explain_tab(handlers.explain)
        with gr.Tab("Results", id="results", elem_id="tab-results"):
            results_tab(studio.tables)
    frames = _Frames(
        images_frame, text_frame, chat_frame, learn_frame, library_frame, explain_frame
    )
    return _Page(tabs, frames, images, text, chat, learn, library, explained)


def _update_menu(
    frame: gr.Tab,
    handlers: SteeringHandlers,
    tab: SteeringTab | ChatTab,
    home: gr.Textbox,
    opened: gr.events.Dependency,
) -> None:
    """Update the menu of maps when its tab is opened; only the open tab starts model work."""
    update: dict[str, Any] = {
        "fn": handlers.library,
        "inputs": [tab.concept, home],
        "outputs": [tab.concept],
        **QUIET,
    }
    frame.select(**update)
    frame.select(handlers.label, [tab.concept], [tab.strength], **QUIET)
    opened.then(js=script("if_tab_chosen", label=frame.label), **update)


def _open_maps(handlers: LibraryHandlers, page: _Page) -> None:
    """Wire the buttons that open a map in the tab for its kind."""
    outputs = [page.tabs, page.text.concept, page.images.concept]
    for button, map_id in (
        (page.learn.try_it, page.learn.job),
        (page.library.use, page.library.chosen),
    ):
        opened = button.click(handlers.use, [map_id], outputs, **QUIET)
        opened.then(None, js=script("to_top"), **IN_PAGE)


def _endpoints(handlers: _Handlers, *, read_only: bool) -> None:
    """Offer typed endpoints to programs; those that learn are not part of a public demo."""
    quick: dict[str, Any] = {"queue": False, "concurrency_limit": None}
    model = {**MODEL, "api_visibility": "public"}
    gr.api(handlers.library.list_maps, api_name="list_maps", **quick)
    gr.api(handlers.pictures.make_pictures, api_name="make_pictures", **model)
    gr.api(handlers.text.continue_text, api_name="continue_text", **model)
    gr.api(handlers.rates.rates, api_name="rates", **model)
    if read_only:
        return
    gr.api(handlers.learn.learn, api_name="learn", **quick)
    gr.api(handlers.jobs.job, api_name="job", **quick)
    gr.api(handlers.jobs.stop, api_name="stop_job", **quick)
    gr.api(handlers.jobs.resume, api_name="resume_job", **quick)
