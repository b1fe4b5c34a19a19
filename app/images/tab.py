"""The Images tab: one prompt, its original and its steered picture, and a strip over λ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import gradio as gr

from ..events import GALLERY, IN_PAGE, MODEL, QUIET
from ..history.handlers import HistoryHandlers
from ..history.panel import recall, restore
from ..html import basics
from ..studio.settings import SEED
from ..text.handlers import Handlers
from ..widgets.install import install_panel
from ..widgets.strength import thumb
from .blind_panel import blind_choice
from .handlers import STRIP, ImageHandlers
from .methods_handlers import MethodHandlers
from .methods_panel import methods
from .mix_handlers import MixHandlers
from .mix_panel import mix
from .overview_handlers import CompareHandlers
from .overview_panel import overview
from .pair import view

__all__ = ["ImagesTab", "images_tab"]

# While the thumb moves: the nearest picture of the strip, at once and without the server. The
# true one follows.
_NEAREST = f"""(strength, strip, steered) => {{
    const strengths = {list(STRIP)};
    if (strip?.length !== strengths.length || !(strength >= -1 && strength <= 1)) return steered;
    const far = strengths.map(lam => Math.abs(lam - strength));
    return strip[far.indexOf(Math.min(...far))].image;
}}"""

# Where the slider stands: the style sheet frames that picture of the strip, if it is there, and
# draws a line through the curve.
_MARK = f"""strength => {{
    document.querySelector('.strip').dataset.at = {list(STRIP)}.indexOf(strength) + 1;
    document.querySelector('.easel').style.setProperty('--strength', strength);
}}"""


@dataclass(frozen=True)
class ImagesTab:
    """What other parts of the page wire.

    Attributes:
        concept: menu of maps; a new value paints new pictures.
        restored: what settings that come back are put into, see `HistoryHandlers`.
        query: the end of the address that leads to what is shown.
    """

    concept: gr.Dropdown
    restored: Sequence[gr.blocks.Block]
    query: gr.Textbox


def images_tab(
    handlers: ImageHandlers,
    mixing: MixHandlers,
    comparing: CompareHandlers,
    between: MethodHandlers,
    recalling: HistoryHandlers,
    shared: Handlers,
    home: gr.Textbox,
) -> ImagesTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: what its events do.
        mixing: what the events of further concepts do.
        comparing: what the events of the overview and the blind choice do.
        between: what the events of the comparison between methods do.
        recalling: what the events do that bring settings back.
        shared: what the events of the install panel do.
        home: address of the page.
    """
    model, wish, shown, measured = gr.State(""), gr.State(0), gr.State(""), gr.State("")
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
            install_panel(shared, model)
        with gr.Column(scale=3, min_width=520, elem_classes="canvas"):
            original, steered = view()
            numbers = gr.HTML(apply_default_css=False, elem_classes="numbers")
            strength, reseed = thumb("λ  −1 inverse · 0 original · 1 full")
            strip = gr.Gallery(
                label="Nine strengths λ; click one",
                columns=len(STRIP),
                fit_columns=False,
                elem_classes="strip",
                **GALLERY,
            )
            curve = gr.HTML(apply_default_css=False)
    with rows:  # they move the slider, too
        added = mix(mixing, concept, strength, kept)
    further = added.further
    seed = gr.Number(
        SEED, label="Seed", info="Same seed, same picture.", precision=0, render=False
    )
    restored = [concept, strength, prompt, seed, kept, further, *added.answers]
    from_picture = restore(recalling, concept, restored)
    below = gr.Column()  # its events need those of the pictures
    overview(comparing, concept, strength, prompt, seed, kept)
    methods(between, concept, strength, prompt, seed, kept)
    blind_choice(comparing, concept, further)
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
    ).then(recalling.begin, [concept, kept, began], [strength, kept, began], **QUIET)
    picked = examples.click(handlers.pick, [examples], [prompt], **QUIET)
    reseed.click(handlers.another_seed, None, [seed], **QUIET)
    strip.select(handlers.strength_at, None, [strength], **QUIET)
    strength.change(None, [strength], None, js=_MARK, **IN_PAGE)
    strength.input(None, [strength, strip, steered], [steered], js=_NEAREST, **IN_PAGE)
    # As in the Text tab: a new wish ends the work on older ones.
    gr.on(
        [prompt.submit, strength.change, seed.change, further.change],
        handlers.wish,
        None,
        [wish],
        trigger_mode="always_last",
        **QUIET,
    )
    asked = [strength, concept, further, prompt, seed]
    painted = wish.change(
        handlers.generate,
        [shown, *asked],
        [original, steered, strip, note, shown],
        trigger_mode="always_last",
        show_progress="hidden",
        **MODEL,
    )
    painted.success(handlers.measure, [measured, *asked], [numbers, curve, measured], **QUIET)
    with below:
        query, again = recall(recalling, home, wish, painted, asked, restored)
    for event in (chosen, picked, from_picture, again):
        event.then(handlers.wish, None, [wish], **QUIET)
    return ImagesTab(concept, restored, query)
