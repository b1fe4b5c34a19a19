"""The layout of the Images tab: one prompt, its original and its steered picture, and a strip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import gradio as gr

from ..events import GALLERY, HIDDEN, IN_PAGE, LATEST, MODEL, QUIET
from ..html import basics
from ..scripts import script
from ..studio.settings import STRIP
from ..widgets.install import install_panel
from ..widgets.install_handlers import InstallHandlers
from ..widgets.steering import SteeringTab
from ..widgets.strength_slider import strength_slider
from ..widgets.unless_typed import unless_typed
from .batch_handlers import ImageBatchHandlers
from .batch_panel import batch
from .blind_handlers import BlindHandlers
from .blind_panel import blind_choice
from .controls import Controls
from .follow_handlers import FollowHandlers
from .follow_panel import follow
from .grid_handlers import GridHandlers
from .grid_panel import grid_panel
from .handlers import ImageHandlers
from .methods_handlers import MethodsHandlers
from .methods_panel import methods
from .mix_handlers import MixHandlers
from .mix_panel import mix
from .overview_handlers import OverviewHandlers
from .overview_panel import overview
from .pair import view
from .save_handlers import SaveHandlers
from .steps_boxes import StepsBoxes, settled
from .toolbar import Toolbar, toolbar, wire_saving

__all__ = ["ImagesHandlers", "images_tab"]


class ImagesHandlers(NamedTuple):
    """The event handlers of the tab and of its panels."""

    pictures: ImageHandlers
    follow: FollowHandlers
    save: SaveHandlers
    mix: MixHandlers
    overview: OverviewHandlers
    methods: MethodsHandlers
    grid: GridHandlers
    batch: ImageBatchHandlers
    blind: BlindHandlers
    install: InstallHandlers


class _Ask(NamedTuple):
    """The column on the left: what to paint."""

    concept: gr.Dropdown
    summary: gr.HTML
    rows: gr.Column
    prompt: gr.Textbox
    examples: gr.Dataset
    note: gr.HTML
    model: gr.State


class _Canvas(NamedTuple):
    """The column on the right: the pictures, the slider and the strip."""

    original: gr.Image
    steered: gr.Image
    scores: gr.HTML
    strength: gr.Slider
    tools: Toolbar
    strip: gr.Gallery
    curve: gr.HTML


class _Below(NamedTuple):
    """Parts of the panels below the pictures."""

    upload: gr.Column
    earlier: gr.Tab
    goal: gr.HTML
    code: gr.Tab
    words: gr.HTML
    facts: gr.HTML


class _Events(NamedTuple):
    """Events and components that the page needs, see `SteeringTab`."""

    chosen: gr.events.Dependency
    made: gr.events.Dependency
    request: gr.State


def images_tab(handlers: ImagesHandlers) -> SteeringTab:
    """Declare the tab inside the current `gr.Tab`."""
    kept = gr.State([])
    with gr.Row(elem_classes="easel"):
        ask = _ask_column(handlers.install, handlers.pictures.examples)
        canvas = _canvas_column()
    seed = canvas.tools.seed
    controls = Controls(ask.concept, canvas.strength, ask.prompt, seed.number, kept)
    with ask.rows:  # declared after the slider, which they move as well
        rows = mix(handlers.mix, controls)
    below = _below(handlers, controls, rows.further, canvas.tools.boxes)
    ask.prompt.submit(**seed.renewal)
    events = _wire(handlers.pictures, ask, canvas, below, controls, rows.further)
    follow(handlers.follow, ask.concept, ask.summary, events.request, events.chosen)
    wire_saving(handlers.save, canvas.tools, canvas.strength)
    return SteeringTab(
        concept=ask.concept,
        strength=canvas.strength,
        kept=kept,
        began=gr.State(1.0),
        request=events.request,
        new_request=handlers.pictures.new_request,
        chosen=events.chosen,
        made=events.made,
        result=canvas.tools.result,
        restored=[*controls, rows.further, *canvas.tools.boxes, *rows.updated],
        earlier=below.earlier,
        code=below.code,
        upload=below.upload,
    )


def _ask_column(install: InstallHandlers, examples: Sequence[str]) -> _Ask:
    """Declare the menu of concepts, the prompt and its examples."""
    model = gr.State("")
    with gr.Column(scale=1, min_width=280, elem_classes="ask"):
        concept = gr.Dropdown([], label="Concept")
        summary = gr.HTML(apply_default_css=False)
        rows = gr.Column(elem_classes="mix")
        prompt = gr.Textbox(
            label="What to paint", max_length=2000, lines=1, max_lines=5, submit_btn="Paint"
        )
        dataset = gr.Dataset(
            components=[prompt],
            samples=[[each] for each in examples],
            show_label=False,
            elem_classes="examples",
        )
        start = basics.hint("Choose a concept, then press Paint.")
        note = gr.HTML(start, apply_default_css=False, js_on_load=script("replace_word"))
        install_panel(install, model)
    return _Ask(concept, summary, rows, prompt, dataset, note, model)


def _canvas_column() -> _Canvas:
    """Declare both pictures, the slider, the toolbar and the strip."""
    with gr.Column(scale=3, min_width=520, elem_classes="canvas"):
        original, steered = view()
        scores = gr.HTML(apply_default_css=False)
        strength = strength_slider()
        tools = toolbar()
        strip = gr.Gallery(
            label="Strengths from −1 to 1: click a picture to use its strength",
            columns=len(STRIP),
            fit_columns=False,
            elem_classes="strip",
            **GALLERY,
        )
        curve = gr.HTML(apply_default_css=False, elem_classes="below-strip")
    return _Canvas(original, steered, scores, strength, tools, strip, curve)


def _below(
    handlers: ImagesHandlers, controls: Controls, further: gr.State, boxes: StepsBoxes
) -> _Below:
    """Declare the panels below the pictures."""
    upload = gr.Column()  # filled by the page, as are `earlier` and `code`
    with gr.Tabs(overflow_behavior="wrap", elem_classes="panels"):
        earlier = gr.Tab("Earlier results")
        with gr.Tab("Goal picture"):
            goal = gr.HTML(apply_default_css=False)
        overview(handlers.overview, controls, boxes)
        methods(handlers.methods, controls, boxes)
        grid_panel(handlers.grid, controls, further, boxes)
        batch(handlers.batch, controls, further, boxes)
        blind_choice(handlers.blind, controls.concept, further, boxes)
        code = gr.Tab("Code")
        with gr.Tab("Known words"):
            words = gr.HTML(apply_default_css=False)
        with gr.Tab("About this map"):
            facts = gr.HTML(apply_default_css=False)
    return _Below(upload, earlier, goal, code, words, facts)


def _wire(
    handlers: ImageHandlers,
    ask: _Ask,
    canvas: _Canvas,
    below: _Below,
    controls: Controls,
    further: gr.State,
) -> _Events:
    """Connect the components with their handlers."""
    concept, strength, prompt, seed, kept = controls
    request, boxes = gr.State(0), canvas.tools.boxes
    adapted = unless_typed(prompt)
    view = [ask.summary, below.facts, adapted, ask.examples, below.words, ask.model, strength]
    chosen = concept.change(
        handlers.choose, [concept, prompt, kept, ask.model], [*view, *boxes], **QUIET
    )
    canvas.strip.select(handlers.strength_at, None, [strength], **QUIET)
    _wire_slider(canvas)
    # Numbering a request first ends the work on older ones, so that their events leave the queue
    # early and the latest request is next.
    gr.on(
        [prompt.submit, *(each.change for each in (strength, seed, further)), *settled(boxes)],
        handlers.new_request,
        None,
        [request],
        **LATEST,
    )
    picked = ask.examples.click(handlers.pick, [ask.examples], [prompt], **QUIET)
    replaced = ask.note.click(handlers.replace_word, [prompt], [adapted], **QUIET)
    for event in (picked, replaced):
        event.then(handlers.new_request, None, [request], **QUIET)
    asked = [strength, concept, further, prompt, seed, *boxes]
    painted = _wire_painting(handlers, canvas, ask.note, below.goal, request, asked)
    painted.success(handlers.offer_steps, [ask.model], [*boxes], **LATEST)
    return _Events(chosen, painted, request)


def _wire_painting(
    handlers: ImageHandlers,
    canvas: _Canvas,
    note: gr.HTML,
    goal: gr.HTML,
    request: gr.State,
    asked: Sequence[gr.blocks.Block],
) -> gr.events.Dependency:
    """Paint and score each new request; return the event after painting."""
    # In the page, not `gr.State`s: they say what the page shows.
    shown, measured = (gr.Textbox(visible=False) for _ in range(2))
    # Pictures arrive here, and are shown unless the slider has moved on meanwhile.
    pair = gr.Gallery(visible="hidden", **GALLERY)
    painted = request.change(
        handlers.generate,
        [shown, *asked],
        [pair, canvas.strip, note, shown, canvas.curve, measured, canvas.tools.result],  # `Canvas`
        trigger_mode="always_last",
        **HIDDEN,
        **MODEL,
    )
    painted.success(
        handlers.measure,
        [measured, *asked],
        [canvas.scores, goal, canvas.curve, measured],
        **LATEST,
    )
    _wire_arrival(canvas, pair)
    return painted


def _wire_arrival(canvas: _Canvas, pair: gr.Gallery) -> None:
    """Show the pictures that arrive, and that the figures of those before are no longer true.

    That is said first: to decode a picture can take longer than to measure it.
    """
    gr.on(
        [pair.change, canvas.strength.input],
        None,
        [canvas.scores],
        [canvas.scores],
        js=script("stale_figures"),
        trigger_mode="multiple",
        **IN_PAGE,
    )
    pair.change(
        None,
        [pair, canvas.strength],
        [canvas.original, canvas.steered],
        js=script("show_pair"),
        trigger_mode="multiple",
        **IN_PAGE,
    )


def _wire_slider(canvas: _Canvas) -> None:
    """Let the page react to the slider at once, without the server."""
    canvas.strength.change(
        None, [canvas.strength], None, js=script("mark_strength", strengths=STRIP), **IN_PAGE
    )
    canvas.strength.input(
        None,
        [canvas.strength, canvas.strip],
        [canvas.steered],
        js=script("nearest_picture", strengths=STRIP),
        trigger_mode="multiple",
        **IN_PAGE,
    )
