"""The settings of all methods in the form of the Learn tab."""

from __future__ import annotations

import gradio as gr
from gradio.components import Component

from lineas_core import LearnConfig
from lineas_core.learning.config import (
    COMPARISONS,
    MATCHING,
    OPTIMIZERS,
    POOLING_CHOICES,
    PRECISIONS,
)
from lineas_core.methods.iti_c import ItiConfig
from lineas_core.methods.oracle import OracleConfig
from lineas_core.methods.reft import ReftConfig

from ..html.settings import LABELS
from .form import SETTINGS

__all__ = ["settings_panel"]


def settings_panel(config: LearnConfig) -> dict[str, Component]:
    """Declare one component for each of `SETTINGS`; at first those of LinEAS are visible.

    Args:
        config: the values at first.

    Returns:
        The components by name of the setting, in the order of `SETTINGS`.
    """
    components: dict[str, Component] = {}
    for declare in (_steps, _sampling, _objective, _of_pictures, _execution):
        with gr.Row(elem_classes="settings"):
            components |= declare(config)
    return {name: components[name] for name in SETTINGS}


def _steps(config: LearnConfig) -> dict[str, Component]:
    return {
        "iterations": gr.Number(config.iterations, label=LABELS["iterations"], precision=0),
        "epochs": gr.Number(
            ReftConfig.epochs,
            label=LABELS["epochs"],
            info="Passes over all prompts.",
            precision=0,
            visible=False,
        ),
        "ppo_epochs": gr.Number(
            OracleConfig.ppo_epochs,
            label=LABELS["ppo_epochs"],
            info="Optimiser steps on the judged continuations of each epoch.",
            precision=0,
            visible=False,
        ),
        "rank": gr.Number(
            ReftConfig.rank,
            label=LABELS["rank"],
            info="Number of directions of each map.",
            precision=0,
            visible=False,
        ),
        "learning_rate": gr.Number(
            config.learning_rate, label=LABELS["learning_rate"], step=0.001
        ),
        "sparsity": gr.Slider(
            0,
            10,
            config.sparsity,
            step=0.5,
            label=LABELS["sparsity"],
            info="A larger γ moves fewer coordinates; 0 moves all of them.",
        ),
    }


def _sampling(config: LearnConfig) -> dict[str, Component]:
    return {
        "support": gr.Slider(
            0.01,
            1,
            config.support,
            step=0.01,
            label=LABELS["support"],
            info="Only those in which the two sides differ most are steered; 1 steers all.",
        ),
        "optimizer": gr.Dropdown(OPTIMIZERS, value=config.optimizer, label=LABELS["optimizer"]),
        "batch_size": gr.Number(
            config.batch_size or 0, label=LABELS["batch_size"], info="0: all prompts.", precision=0
        ),
        "seed": gr.Number(config.seed, label=LABELS["seed"], precision=0),
        "heldout_every": gr.Number(
            config.heldout_every,
            label=LABELS["heldout_every"],
            info="Iterations between two evaluations on held-out prompts.",
            precision=0,
        ),
    }


def _objective(config: LearnConfig) -> dict[str, Component]:
    return {
        "standardise": gr.Checkbox(
            config.standardise,
            label=LABELS["standardise"],
            info="Measure distances in standard deviations of each coordinate.",
        ),
        "both_ways": gr.Checkbox(
            config.both_ways,
            label=LABELS["both_ways"],
            info="Also learn the direction for λ < 0; recommended for pictures, with the normal "
            "budget.",
        ),
        "identity_loss": gr.Checkbox(
            config.identity_loss,
            label=LABELS["identity_loss"],
            info="Keep target prompts where they are; recommended for pictures and for tone.",
        ),
        "shift_only": gr.Checkbox(
            config.shift_only,
            label=LABELS["shift_only"],
            info="Learn shifts without scales; recommended for tone.",
        ),
    }


def _of_pictures(config: LearnConfig) -> dict[str, Component]:
    return {
        "compare": gr.Dropdown(
            list(COMPARISONS),
            value=config.compare,
            label=LABELS["compare"],
            info="What the loss compares. “output” removes an object without leaving a ghost.",
        ),
        "fresh_noise": gr.Checkbox(
            config.fresh_noise,
            label=LABELS["fresh_noise"],
            info="Pictures: draw the noise anew at each iteration.",
        ),
        "matched": gr.Dropdown(
            list(MATCHING),
            value=config.matched,
            label=LABELS["matched"],
            info="Line k of each side is the same scene, with and without the concept. auto: yes "
            "if the two differ only by added words.",
        ),
    }


def _execution(config: LearnConfig) -> dict[str, Component]:
    return {
        "pooling": gr.Dropdown(
            list(POOLING_CHOICES),
            value=config.pooling,
            label=LABELS["pooling"],
            info="auto: mean over tokens, maximum over a picture.",
        ),
        "precision": gr.Dropdown(
            list(PRECISIONS), value=config.precision, label=LABELS["precision"]
        ),
        "micro_batch_size": gr.Number(
            config.micro_batch_size or 0,
            label=LABELS["micro_batch_size"],
            info="0: as many as fit in memory.",
            precision=0,
        ),
        "penalty": gr.Number(
            ItiConfig.penalty,
            label=LABELS["penalty"],
            info="L2 penalty of the logistic regression (1/C in scikit-learn).",
            visible=False,
        ),
    }
