"""The table about the duration of learning, by method."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lineas_core.learning.config import FitConfig, LearnConfig
from lineas_core.learning.suited import suited_settings
from lineas_core.methods import LINEAS, METHODS, Method
from lineas_core.models.catalog import MODELS
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.presets import find_modules
from lineas_core.tables.cells import Cell
from lineas_core.tables.table import Table
from lineas_core.tables.workbench import ORACLES, PROMPTS, Workbench, end_of

__all__ = ["TABLES"]

_MODELS = {
    "small": ("smollm2-135m", "gemma-3-270m", "emoji-world"),
    "paper": ("Qwen/Qwen2.5-1.5B", "google/gemma-2-2b", "dmd2"),
}


def _cells(edition: str) -> list[Cell]:
    found = [
        Cell({"model": model, "method": name}, _timed(edition, model, method))
        for model in _MODELS[edition]
        for name, method in METHODS.items()
        if _kind(model) in method.kinds
    ]
    return sorted(found, key=lambda cell: cell.key["method"] in ORACLES)


def _kind(model: str) -> str:
    return MODELS[model].kind if model in MODELS else "language"


def _timed(edition: str, name: str, method: Method) -> Callable[[Workbench], dict[str, Any]]:
    painting = _kind(name) == "text-to-image"
    file = "images/vaporwave.json" if painting else "football.json"
    paper = "paper (DMD2)" if painting else "paper (language)"
    budget = paper if edition == "paper" else "quick"

    def work(bench: Workbench) -> dict[str, Any]:
        model, prompts = bench.model(name), PromptSet.load(PROMPTS / file)
        suits = {"keeps_layout": model.keeps_layout}
        suited, preset = suited_settings(name, prompts.kind, budget, **suits)
        config = suited if method.iterative else method.config
        modules = find_modules(model.network, preset) if preset else None
        start = time.perf_counter()
        maps = method.learn(model, prompts.source, prompts.target, config=config, modules=modules)
        seconds = time.perf_counter() - start
        return {"facts": {"steps": _steps(config), "seconds": seconds} | end_of(maps), "rows": []}

    return work


def _steps(config: FitConfig) -> int:
    if isinstance(config, LearnConfig):
        return config.iterations
    return getattr(config, "epochs", 1) * getattr(config, "ppo_epochs", 1)


def _of_before(done: Sequence[Mapping[str, Any]]) -> str:
    """Say what lines were measured with that do not name their processor yet."""
    old = sum("processor" not in cell for cell in done)
    if not old:
        return ""
    return (
        f"{old} of {len(done)} lines are to be measured again: they are of the bare budget and "
        "each model's default layers, not of what suits model and prompts."
    )


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Report the range of durations, of methods with one step and of LinEAS."""
    one = sorted(c["facts"]["seconds"] for c in done if c["facts"]["steps"] == 1)
    many = sorted(c["facts"]["seconds"] for c in done if c["key"]["method"] == LINEAS)
    if not one or not many:
        return ""
    return (
        f"LinEAS takes {many[0]:.0f} to {many[-1]:.0f} s, methods without iterations "
        f"{one[0]:.1f} to {one[-1]:.1f} s."
    )


TABLES = (
    Table(
        "timing",
        "How long learning takes",
        "Tables 4 and 5",
        "32 + 32 prompts (football, or vaporwave for pictures), with the settings and layers "
        "that `lineas learn` takes by default, on the machine that made the table; the model is "
        "loaded beforehand.",
        _cells,
        lambda _: "",
        {},
        _verdict,
        summarise=_of_before,
    ),
)
