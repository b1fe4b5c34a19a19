"""The Learn tab: two sets of prompts on the left, the job that learns from them on the right."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr
from gradio.components import Component

from lineas_core import BUDGETS, LearnConfig
from lineas_core.learning.config import OPTIMIZERS, POOLING_CHOICES, PRECISIONS
from lineas_core.methods import METHODS
from lineas_core.methods.iti_c import ItiConfig
from lineas_core.models.catalog import MODELS
from lineas_core.steering.hooks import PRESETS

from ..events import QUIET
from ..widgets.install import install_panel
from ..widgets.install_handlers import InstallHandlers
from .form import OF_THE_SET, PREVIEWS, SETTINGS, aims, budgets, kind_of
from .form_handlers import FormHandlers
from .job_handlers import JobHandlers

__all__ = ["LearnTab", "learn_tab"]

_TYPES = [".txt", ".csv", ".json", ".jsonl"]
_SECONDS = 1.5  # between two looks at the job


@dataclass(frozen=True)
class LearnTab:
    """What other parts of the page wire.

    Attributes:
        job: menu of jobs.
        try_it: opens the map of a job that is done.
    """

    job: gr.Dropdown
    try_it: gr.Button


def learn_tab(handlers: FormHandlers, watching: JobHandlers, install: InstallHandlers) -> LearnTab:
    """Declare the tab inside the current `gr.Tab`.

    Args:
        handlers: what the events of the form do.
        watching: what the events of a job do.
        install: the events of the install panel.
    """
    job = gr.Dropdown([], label="Job", render=False)
    with gr.Row(elem_classes="learn"):
        with gr.Column(min_width=320):
            _form(handlers, install, job)
        with gr.Column(min_width=320, elem_classes="watch"):
            try_it = _watch(watching, job)
    return LearnTab(job, try_it)


def _form(handlers: FormHandlers, install: InstallHandlers, job: gr.Dropdown) -> None:
    first = handlers.starts_with()
    with gr.Row():
        title = gr.Textbox(
            label="Name", placeholder="What the map is about", max_length=100, min_width=200
        )
        models = [(entry.title, name) for name, entry in MODELS.items()]
        model = gr.Dropdown(models, value=first, label="Model", min_width=200)
    install_panel(install, model)
    with gr.Row(elem_classes="load"):
        shipped = gr.Dropdown(
            handlers.sets(first), value=None, label="Load a shipped set", scale=2
        )
        upload = gr.UploadButton("Upload a set", file_types=_TYPES, size="sm", scale=1)
    with gr.Row(elem_classes="load"):
        word = gr.Textbox(
            label="Or name one thing",
            placeholder="a car, ukiyo-e, chess …",
            max_length=60,
            min_width=220,
            scale=2,
        )
        aim = gr.Dropdown(aims(first), label="and what for", min_width=220, scale=2)
        write = gr.Button("Write the prompts", size="sm", min_width=140, scale=1)
    known = gr.State()
    source = _side(handlers, "Source: steer away from these", model)
    target = _side(handlers, "Target: steer towards these", model)
    methods = [(method.title, name) for name, method in METHODS.items()]
    method = gr.Dropdown(methods, value=next(iter(METHODS)), label="Method")
    budget = gr.Radio(budgets(first), value=next(iter(BUDGETS)), label="Budget")
    duration = gr.HTML(apply_default_css=False)
    with gr.Accordion("Settings", open=False):
        heldout = gr.Number(
            0, label="Held-out prompts", info="The last ones of each side.", precision=0, minimum=0
        )
        preset = gr.Dropdown(
            [("the model's own", ""), *((name, name) for name in PRESETS)],
            value="",
            label="Modules",
            info="A preset, or a regular expression for module names.",
            allow_custom_value=True,
        )
        preview = gr.Textbox(PREVIEWS[kind_of(first)], label="Preview prompt")
        settings = _settings()
    start = gr.Button("Start", variant="primary")

    suited = [settings[name] for name in OF_THE_SET]
    filled = [title, source, target, heldout, preview, known, *suited]
    model.change(
        handlers.fit,
        [model, preview, method, budget],
        [shipped, aim, preview, budget, *settings.values()],
        **QUIET,
    )
    shipped.input(handlers.load_set, [model, shipped], filled, **QUIET)
    upload.upload(handlers.read_set, [model, upload], filled, **QUIET)
    gr.on([write.click, word.submit], handlers.write_set, [model, word, aim], filled, **QUIET)
    method.change(handlers.suit, [method], [budget, *settings.values()], **QUIET)
    budget.input(handlers.budget, [budget], [*settings.values()], **QUIET)
    estimated = [method, model, source, heldout, settings["iterations"], settings["batch_size"]]
    gr.on(None, handlers.estimate, estimated, [duration], **QUIET)  # now and at every change
    start.click(
        handlers.start,
        [
            *(title, model, method, source, target),
            *(heldout, preset, preview, known, *settings.values()),
        ],
        [job],
        **QUIET,
    )


def _side(handlers: FormHandlers, label: str, model: gr.Dropdown) -> gr.Textbox:
    """A box for one side, with its counter and its upload."""
    box = gr.Textbox(label=label, placeholder="One prompt per line", lines=6, max_lines=8)
    with gr.Row(elem_classes="side"):
        counter = gr.HTML(handlers.count(model.value, ""), apply_default_css=False)
        upload = gr.UploadButton("Upload this side", file_types=_TYPES, size="sm", scale=0)
    gr.on([box.change, model.change], handlers.count, [model, box], [counter], **QUIET)
    upload.upload(handlers.read_side, [upload], [box], **QUIET)
    return box


def _settings() -> dict[str, Component]:
    """One component for each of `SETTINGS`, in their order; at first those of LinEAS show."""
    default = LearnConfig()
    with gr.Row(elem_classes="settings"):
        made = {
            "iterations": gr.Number(default.iterations, label="Iterations", precision=0),
            "learning_rate": gr.Number(default.learning_rate, label="Learning rate", step=0.001),
            "sparsity": gr.Slider(
                0, 10, default.sparsity, step=0.5, label="γ", info="Sparsity; 0 moves everything."
            ),
        }
    with gr.Row(elem_classes="settings"):
        made |= {
            "optimizer": gr.Dropdown(OPTIMIZERS, value=default.optimizer, label="Optimizer"),
            "batch_size": gr.Number(
                default.batch_size or 0, label="Batch", info="0 takes all.", precision=0
            ),
            "seed": gr.Number(default.seed, label="Seed", precision=0),
            "heldout_every": gr.Number(
                default.heldout_every, label="Iterations between held-out checks", precision=0
            ),
        }
    with gr.Row(elem_classes="settings"):
        made |= {
            "standardise": gr.Checkbox(
                default.standardise,
                label="Standardise",
                info="Learn in units of each coordinate's spread.",
            ),
            "both_ways": gr.Checkbox(
                default.both_ways,
                label="Both ways",
                info="Learn λ < 0, too. For styles, best with the normal budget.",
            ),
            "identity_loss": gr.Checkbox(
                default.identity_loss,
                label="Identity loss",
                info="Leave target prompts alone. For a manner of speech.",
            ),
            "shift_only": gr.Checkbox(
                default.shift_only,
                label="Shifts only",
                info="Maps do not scale. For a manner of speech.",
            ),
        }
    with gr.Row(elem_classes="settings"):
        made |= {
            "pooling": gr.Dropdown(
                list(POOLING_CHOICES),
                value=default.pooling,
                label="Pooling",
                info="auto: mean over words, maximum over a picture.",
            ),
            "precision": gr.Dropdown(list(PRECISIONS), value=default.precision, label="Precision"),
            "micro_batch_size": gr.Number(
                default.micro_batch_size or 0,
                label="At a time",
                info="0 takes what fits into memory.",
                precision=0,
            ),
            "penalty": gr.Number(
                ItiConfig.penalty,
                label="Penalty",
                info="Of the regression; 1 / C of scikit-learn.",
                visible=False,
            ),
        }
    return {name: made[name] for name in SETTINGS}


def _watch(handlers: JobHandlers, job: gr.Dropdown) -> gr.Button:
    seen = gr.State("")
    job.render()
    state, report = (gr.HTML(apply_default_css=False) for _ in range(2))
    with gr.Row():
        stop = gr.Button("Stop and keep the best", variant="stop", visible=False)
        resume = gr.Button("Resume", visible=False)
        try_it = gr.Button("Try it", variant="primary", visible=False)
        delete = gr.Button("Delete", visible=False)
    curve, previews = (gr.HTML(apply_default_css=False) for _ in range(2))
    with gr.Accordion("Where in the network it steers", open=False):
        modules = gr.HTML(apply_default_css=False)

    look = {
        "fn": handlers.watch,
        "inputs": [job, seen],
        "outputs": [
            *(job, state, report, stop, resume, try_it, delete),
            *(curve, previews, modules, seen),
        ],
        **QUIET,
    }
    gr.Timer(_SECONDS).tick(**look, queue=False)
    job.change(**look)
    stop.click(handlers.stop, [job], **QUIET).then(**look)
    resume.click(handlers.resume, [job], **QUIET).then(**look)
    delete.click(handlers.delete, [job], **QUIET).then(**look)
    return try_it
