"""The layout of the Learn tab: the form on the left, the job on the right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import gradio as gr
from gradio.components import Component

from lineas_core import BUDGETS
from lineas_core.learning.suited import suited_settings
from lineas_core.methods import LINEAS
from lineas_core.steering.presets import PRESETS

from ..events import LATEST, QUIET
from ..uploads import PROMPT_TYPES
from ..widgets.choice import choice_of
from ..widgets.install_handlers import InstallHandlers
from ..widgets.prompts_box import read_prompts
from ..widgets.unless_typed import unless_typed
from .columns_panel import columns_panel
from .form import PREVIEWS, SUITED, aims, budgets, in_steps, kind_of, methods
from .form_handlers import FormHandlers
from .job_handlers import STOP, JobHandlers
from .model_handlers import ModelHandlers
from .model_panel import model_panel
from .settings_panel import settings_panel
from .upload_handlers import UploadHandlers

__all__ = ["LearnHandlers", "LearnTab", "learn_tab"]

_SECONDS = 1.5  # between two updates of the job


class LearnHandlers(NamedTuple):
    """The event handlers of the parts of the tab."""

    form: FormHandlers
    models: ModelHandlers
    uploads: UploadHandlers
    watching: JobHandlers
    install: InstallHandlers


_FIRST = (
    "While LinEAS learns, a first map can be tried within seconds. For topics on SmolLM2 it comes "
    "from CAA, which does about as well."
)


@dataclass(frozen=True)
class LearnTab:
    """The components that ui.py wires.

    Attributes:
        job: menu of jobs.
        try_it: button that opens the map of a job, also while it is being learnt.
    """

    job: gr.Dropdown
    try_it: gr.Button


def learn_tab(handlers: LearnHandlers, *, read_only: bool) -> LearnTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: event handlers of its parts.
        read_only: leave out the form, whose events read folders that a request names.
    """
    job = gr.Dropdown([], label="Job", render=False)
    with gr.Row(elem_classes="learn"):
        if not read_only:
            with gr.Column(min_width=480):  # the form would be crowded beside the job
                _form(handlers, job)
        with gr.Column(min_width=320, elem_classes="watch"):
            try_it = _watch(handlers.watching, job)
    return LearnTab(job, try_it)


def _form(all_handlers: LearnHandlers, job: gr.Dropdown) -> None:
    """Declare the form from top to bottom, and wire it."""
    handlers, models, uploads, _, install = all_handlers
    initial = models.initial()
    title, model = _name_and_model(models.choices(), initial)
    model_panel(models, install, model)
    sets, panel = _sets(handlers, initial), columns_panel(uploads)
    known = gr.State()
    source = _side(handlers, "Source: steer away from these", model, known)
    target = _side(handlers, "Target: steer towards these", model, known)
    matched = gr.HTML(apply_default_css=False)
    method = gr.Dropdown(methods(initial), value=LINEAS, label="Method", info=_FIRST)
    budget = gr.Radio(budgets(initial), value=next(iter(BUDGETS)), label="Budget")
    duration = gr.HTML(apply_default_css=False)
    with gr.Accordion("Settings", open=False):
        heldout, preset, preview = _run_settings(initial)
        timing, learn_at = _timing(initial)
        settings = settings_panel(suited_settings(initial)[0])
    start = gr.Button("Start", variant="primary")

    values = [*settings.values()]
    suited = [settings[name] for name in SUITED]
    filled = [title, source, target, heldout, preview, known, *suited]  # a `FilledForm`
    _wire_sets(handlers, sets, [model, method, budget], filled)
    upload = [model, method, budget, sets.upload]
    sets.upload.upload(uploads.read_set, upload, [*filled, *panel.view], **QUIET)
    panel.wire(uploads, [model, method, budget], filled)
    model.change(
        handlers.choose_model,
        [model, preview, method, budget, known],
        [sets.shipped, sets.aim, unless_typed(preview), method, budget, timing, *values],
        **QUIET,
    )
    method.change(handlers.choose_method, [method, model, known], [budget, *values], **QUIET)
    budget.input(handlers.budget, [budget, model, known], values, **LATEST)
    gr.on(None, handlers.matching, [model, source, target, known], [matched], **QUIET)
    counts = ("iterations", "batch_size", "epochs", "ppo_epochs")
    estimated = [method, model, source, heldout, *(settings[name] for name in counts)]
    gr.on(None, handlers.estimate, estimated, [duration], **QUIET)  # now and at every change
    request = [title, model, method, source, target, heldout, preset, preview, learn_at, known]
    start.click(handlers.start, [*request, *values], [job], **QUIET)


def _name_and_model(models: list[tuple[str, str]], initial: str) -> tuple[gr.Textbox, gr.Dropdown]:
    with gr.Row():
        title = gr.Textbox(
            label="Name", placeholder="What the map is about", max_length=100, min_width=200
        )
        model = gr.Dropdown(models, value=initial, label="Model", min_width=200)
    return title, model


class _Sets(NamedTuple):
    """The components that fill the form with a prompt set."""

    shipped: gr.Dropdown
    upload: gr.UploadButton
    word: gr.Textbox
    aim: gr.Dropdown
    write: gr.Button


def _sets(handlers: FormHandlers, initial: str) -> _Sets:
    with gr.Row(elem_classes="load"):
        shipped = gr.Dropdown(handlers.sets(initial), value=None, label="Load a ready-made set")
        upload = gr.UploadButton(
            "Upload a set", file_types=[*PROMPT_TYPES], size="sm", min_width=140
        )
    with gr.Row(elem_classes="load"):
        word = gr.Textbox(
            label="Or name a concept",
            placeholder="a car, ukiyo-e, chess …",
            max_length=60,
            min_width=170,
        )
        aim = gr.Dropdown(aims(initial), label="What the map should do", min_width=180)
        write = gr.Button("Write the prompts", size="sm", min_width=140)
    return _Sets(shipped, upload, word, aim, write)


def _wire_sets(
    handlers: FormHandlers, sets: _Sets, chosen: list[Component], filled: list[Component]
) -> None:
    """Fill the form from a set; `chosen` are the model, the method and the budget."""
    choice_of(sets.shipped).change(handlers.load_set, [*chosen, sets.shipped], filled, **LATEST)
    gr.on(
        [sets.write.click, sets.word.submit],
        handlers.write_set,
        [*chosen, sets.word, sets.aim],
        filled,
        **QUIET,
    )


def _run_settings(initial: str) -> tuple[gr.Number, gr.Dropdown, gr.Textbox]:
    """Declare the settings that do not depend on the method."""
    heldout = gr.Number(
        0,
        label="Held-out prompts",
        info="This many at the end of each side are kept for measuring; the map is not learnt "
        "from them.",
        precision=0,
        minimum=0,
    )
    preset = gr.Dropdown(
        [("those that suit the model and the set", ""), *((name, name) for name in PRESETS)],
        value="",
        label="Modules",
        info="A preset, or a regular expression for module names; late- before it selects the "
        "last third of the modules, which suits topics on SmolLM2.",
        allow_custom_value=True,
    )
    preview = gr.Textbox(PREVIEWS[kind_of(initial)], label="Preview prompt")
    return heldout, preset, preview


def _timing(initial: str) -> tuple[gr.Column, gr.Textbox]:
    """Declare the field for the denoising steps, in a column that hides it."""
    with gr.Column(visible=in_steps(initial)) as timing:
        learn_at = gr.Textbox(
            label="Denoising steps to learn at",
            info="Steps count from 0: “0,2” learns from the mean of both, empty from the first.",
            max_length=100,
        )
    return timing, learn_at


def _side(handlers: FormHandlers, label: str, model: gr.Dropdown, known: gr.State) -> gr.Textbox:
    """Declare the box for one side of the prompts, with its counter and its upload button."""
    box = gr.Textbox(label=label, placeholder="One prompt per line", lines=6, max_lines=8)
    with gr.Row(elem_classes="side"):
        counter = gr.HTML(handlers.count(model.value, ""), apply_default_css=False)
        upload = gr.UploadButton(
            "Upload this side", file_types=[*PROMPT_TYPES], size="sm", scale=0
        )
    gr.on([box.change, model.change], handlers.count, [model, box, known], [counter], **QUIET)
    upload.upload(read_prompts, [upload], [box], **QUIET)
    return box


def _watch(handlers: JobHandlers, job: gr.Dropdown) -> gr.Button:
    """Declare the state of the chosen job, updated by a timer; returns the button `Try it`."""
    # In the page, not a `gr.State`: an answer that a later one has overtaken would otherwise leave
    # the page with an old state that the server takes for the present one.
    seen = gr.Textbox(visible=False)
    job.render()
    state, report = (gr.HTML(apply_default_css=False) for _ in range(2))
    with gr.Row():
        stop = gr.Button(STOP, variant="stop", visible=False)
        resume = gr.Button("Resume", visible=False)
        try_it = gr.Button("Try it", variant="primary", visible=False)
        delete = gr.Button("Delete", visible=False)
    curve, previews = (gr.HTML(apply_default_css=False) for _ in range(2))
    with gr.Accordion("Where in the network it steers", open=False):
        modules = gr.HTML(apply_default_css=False)

    watch: dict[str, Any] = {
        "fn": handlers.watch,
        "inputs": [job, seen],
        "outputs": [
            *(job, state, report, stop, resume, try_it, delete),
            *(curve, previews, modules, seen),
        ],
        **QUIET,
    }
    gr.Timer(_SECONDS).tick(**watch, queue=False)
    job.change(**watch)
    stop.click(handlers.stop, [job], **QUIET).then(**watch)
    resume.click(handlers.resume, [job], **QUIET).then(**watch)
    delete.click(handlers.delete, [job], **QUIET).then(**watch)
    return try_it
