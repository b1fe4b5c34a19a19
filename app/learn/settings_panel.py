"""The settings of all methods in the form of the Learn tab."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

from lineas_core import LearnConfig
from lineas_core.learning.config import COMPARISONS, OPTIMIZERS, POOLING_CHOICES, PRECISIONS
from lineas_core.methods.iti_c import ItiConfig

from .form import SETTINGS

__all__ = ["settings_panel"]

_DEFAULT = LearnConfig()


def settings_panel() -> dict[str, Component]:
    """Declare one component for each of `SETTINGS`; at first those of LinEAS are visible.

    Returns:
        The components by name of the setting, in the order of `SETTINGS`.
    """
    components: dict[str, Component] = {}
    for declare in (_steps, _sampling, _objective, _of_pictures, _execution):
        with gr.Row(elem_classes="settings"):
            components |= declare()
    return {name: components[name] for name in SETTINGS}


def _steps() -> dict[str, Component]:
    return {
        "iterations": gr.Number(_DEFAULT.iterations, label="Iterations", precision=0),
        "learning_rate": gr.Number(_DEFAULT.learning_rate, label="Learning rate", step=0.001),
        "sparsity": gr.Slider(
            0,
            10,
            _DEFAULT.sparsity,
            step=0.5,
            label="γ",
            info="Sparsity: a larger γ moves fewer coordinates, 0 moves all.",
        ),
    }


def _sampling() -> dict[str, Component]:
    return {
        "optimizer": gr.Dropdown(OPTIMIZERS, value=_DEFAULT.optimizer, label="Optimizer"),
        "batch_size": gr.Number(
            _DEFAULT.batch_size or 0, label="Batch", info="0: all prompts.", precision=0
        ),
        "seed": gr.Number(_DEFAULT.seed, label="Seed", precision=0),
        "heldout_every": gr.Number(
            _DEFAULT.heldout_every,
            label="Held-out check",
            info="Evaluate held-out prompts every … iterations.",
            precision=0,
        ),
    }


def _objective() -> dict[str, Component]:
    return {
        "standardise": gr.Checkbox(
            _DEFAULT.standardise,
            label="Standardise",
            info="Learn in units of each coordinate's spread.",
        ),
        "both_ways": gr.Checkbox(
            _DEFAULT.both_ways,
            label="Both ways",
            info="Also learn the direction for λ < 0; recommended for styles, with the normal "
            "budget.",
        ),
        "identity_loss": gr.Checkbox(
            _DEFAULT.identity_loss,
            label="Identity loss",
            info="Keep target prompts where they are; recommended for tone, such as toxicity.",
        ),
        "shift_only": gr.Checkbox(
            _DEFAULT.shift_only,
            label="Shifts only",
            info="Learn shifts without scales; recommended for tone.",
        ),
    }


def _of_pictures() -> dict[str, Component]:
    return {
        "compare": gr.Dropdown(
            COMPARISONS,
            value=_DEFAULT.compare,
            label="Compare",
            info="Pictures: the output removes an object without a ghost.",
        ),
        "fresh_noise": gr.Checkbox(
            _DEFAULT.fresh_noise,
            label="Fresh noise",
            info="Pictures: draw the noise anew at each iteration.",
        ),
        "matched": gr.Checkbox(
            _DEFAULT.matched,
            label="Matched pairs",
            info="Line k of both sides is the same scene, with and without the concept.",
        ),
    }


def _execution() -> dict[str, Component]:
    return {
        "pooling": gr.Dropdown(
            list(POOLING_CHOICES),
            value=_DEFAULT.pooling,
            label="Pooling",
            info="auto: mean over tokens, maximum over a picture.",
        ),
        "precision": gr.Dropdown(list(PRECISIONS), value=_DEFAULT.precision, label="Precision"),
        "micro_batch_size": gr.Number(
            _DEFAULT.micro_batch_size or 0,
            label="Prompts per forward pass",
            info="0: as many as fit in memory.",
            precision=0,
        ),
        "penalty": gr.Number(
            ItiConfig.penalty,
            label="Penalty",
            info="L2 penalty of the logistic regression (1/C in scikit-learn).",
            visible=False,
        ),
    }
