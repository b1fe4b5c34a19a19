"""The Images tab: one prompt, its original and its steered picture, and a strip over λ."""

from __future__ import annotations

from typing import NamedTuple

import gradio as gr

from ..events import GALLERY, IN_PAGE, MODEL, QUIET
from ..html import basics
from ..scripts import script
from ..studio.settings import SEED, STRIP
from ..widgets.install import install_panel
from ..widgets.install_handlers import InstallHandlers
from ..widgets.steering import SteeringTab
from ..widgets.strength_slider import strength_slider
from .blind_handlers import BlindHandlers
from .blind_panel import blind_choice
from .handlers import ImageHandlers
from .methods_handlers import MethodsHandlers
from .methods_panel import methods
from .mix_handlers import MixHandlers
from .mix_panel import mix
from .overview_handlers import OverviewHandlers
from .overview_panel import overview
from .pair import view

__all__ = ["ImagesHandlers", "images_tab"]


class ImagesHandlers(NamedTuple):
    """The events of the tab and of its panels."""

    pictures: ImageHandlers
    mix: MixHandlers
    overview: OverviewHandlers
    methods: MethodsHandlers
    blind: BlindHandlers
    install: InstallHandlers


def images_tab(events: ImagesHandlers) -> SteeringTab:
    """Declare the tab inside the current `gr.Tab`."""
    handlers = events.pictures
    model, request, shown, measured = gr.State(""), gr.State(0), gr.State(""), gr.State("")
    kept, began = gr.State([]), gr.State(1.0)
    with gr.Row(elem_classes="easel"):
        with gr.Column(scale=1, min_width=280, elem_classes="ask"):
            concept = gr.Dropdown([], label="Concept")
            summary = gr.HTML(apply_default_css=False)
            rows = gr.Column(elem_classes="mix")
            prompt = gr.Textbox(
                label="What to paint", max_length=2000, lines=1, max_lines=5, submit_btn="Paint"
            )
            examples = gr.Dataset(
                components=[prompt], samples=[[""]], show_label=False, elem_classes="examples"
            )
            note = gr.HTML(
                basics.hint("Choose a concept, then press Paint."),
                apply_default_css=False,
            )
            install_panel(events.install, model)
        with gr.Column(scale=3, min_width=520, elem_classes="canvas"):
            original, steered = view()
            numbers = gr.HTML(apply_default_css=False, elem_classes="numbers")
            strength, reseed = strength_slider("λ  −1 inverse · 0 original · 1 full")
            strip = gr.Gallery(
                label="Nine strengths λ; click one",
                columns=len(STRIP),
                fit_columns=False,
                elem_classes="strip",
                **GALLERY,
            )
            curve = gr.HTML(apply_default_css=False)
    with rows:  # they move the slider, too
        added = mix(events.mix, concept, strength, kept)
    further = added.further
    seed = gr.Number(
        SEED, label="Seed", info="Same seed, same picture.", precision=0, render=False
    )
    restored = [concept, strength, prompt, seed, kept, further, *added.answers]
    upload = gr.Column()
    below = gr.Column()  # earlier results; the page wires them
    overview(events.overview, concept, strength, prompt, seed, kept)
    methods(events.methods, concept, strength, prompt, seed, kept)
    blind_choice(events.blind, concept, further)
    with gr.Accordion("Settings", open=False):
        seed.render()
    with gr.Accordion("Words that the model knows", open=False):
        words = gr.HTML(apply_default_css=False)
    with gr.Accordion("About this map", open=False):
        facts = gr.HTML(apply_default_css=False)

    chosen = concept.change(
        handlers.choose,
        [concept, prompt, kept],
        [summary, facts, prompt, examples, words, model],
        **QUIET,
    )
    picked = examples.click(handlers.pick, [examples], [prompt], **QUIET)
    reseed.click(handlers.another_seed, None, [seed], **QUIET)
    strip.select(handlers.strength_at, None, [strength], **QUIET)
    strength.change(None, [strength], None, js=script("mark_strength", strengths=STRIP), **IN_PAGE)
    strength.input(
        None,
        [strength, strip, steered],
        [steered],
        js=script("nearest_picture", strengths=STRIP),
        **IN_PAGE,
    )
    # As in the Text tab: a new request ends the work on older ones.
    gr.on(
        [prompt.submit, strength.change, seed.change, further.change],
        handlers.new_request,
        None,
        [request],
        trigger_mode="always_last",
        **QUIET,
    )
    asked = [strength, concept, further, prompt, seed]
    painted = request.change(
        handlers.generate,
        [shown, *asked],
        [original, steered, strip, note, shown],
        trigger_mode="always_last",
        show_progress="hidden",
        **MODEL,
    )
    painted.success(handlers.measure, [measured, *asked], [numbers, curve, measured], **QUIET)
    picked.then(handlers.new_request, None, [request], **QUIET)
    return SteeringTab(
        concept=concept,
        strength=strength,
        kept=kept,
        began=began,
        request=request,
        new_request=handlers.new_request,
        chosen=chosen,
        made=painted,
        asked=asked,
        restored=restored,
        below=below,
        upload=upload,
    )
