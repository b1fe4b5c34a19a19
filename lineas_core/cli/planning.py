"""What a run of the command `learn` needs, before weights are loaded."""

from __future__ import annotations

from lineas_core.learning.plan import (
    describe_learning,
    describe_painting,
    measure_painter,
    measure_pass,
)
from lineas_core.models.catalog import MODELS
from lineas_core.models.language import PRESETS
from lineas_core.models.outline import outline, outline_pictures, paints
from lineas_core.models.reading import MAX_TOKENS, WORDS_PER_TOKEN
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.presets import expected_modules, find_modules

__all__ = ["describe_run"]


def describe_run(model: str, modules: str | None, data: PromptSet, batch: int | None) -> str:
    """Describe the memory and the time of a run.

    Args:
        model: catalog name, hub id or folder.
        modules: layer preset or pattern; None takes that of the model.
        data: the prompts.
        batch: prompts per side and iteration; None means all of them.

    Raises:
        UserError: there is no such model, or nothing matches the pattern.
    """
    sides = len(data.source), len(data.target)
    if paints(model):
        painter = measure_painter(*outline_pictures(model), modules)
        return f"{model}, " + describe_painting(painter, sides, batch)
    network = outline(model)
    entry = MODELS.get(model)
    preset = modules or (entry.preset if entry else None)
    names = find_modules(network, preset) if preset else expected_modules(network, PRESETS)
    longest = max(len(text.split()) for text in (*data.source, *data.target))
    tokens = min(round(longest / WORDS_PER_TOKEN) + 1, MAX_TOKENS)
    one = measure_pass(network, names, tokens)
    return f"{model}, {tokens} tokens a prompt: " + describe_learning(network, one, sides, batch)
