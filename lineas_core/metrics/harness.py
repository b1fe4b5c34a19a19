"""MMLU and TruthfulQA of a steered model, by EleutherAI's evaluation harness.

Package `lm-eval`, an optional extra (LinEAS: MMLU with 5 examples in section 4.1, TruthfulQA's
MC1 and MC2 in section M). Its tasks load their questions from the hub.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from lineas_core.errors import UserError, first_line
from lineas_core.models.hub import HUB_ERRORS, offline_when_unreachable
from lineas_core.models.language import LanguageModel
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.folding import fold

__all__ = ["TRUTHFULQA", "harness", "import_harness"]

TRUTHFULQA = ("truthfulqa_mc1", "truthfulqa_mc2")
"""Both measures of TruthfulQA's multiple choice."""

_ROWS_ON_GPU = 8  # on a CPU batches gain nothing, and the logits of one row take 0.5 GB


def harness(
    model: LanguageModel,
    maps: SteeringMaps,
    strength: float = 1.0,
    tasks: Sequence[str | dict[str, Any]] = ("mmlu",),
    few_shot: int | None = 5,
    limit: int | None = None,
) -> dict[str, float]:
    """Evaluate the steered model in tasks of the harness.

    Args:
        model: the model that the maps were learnt on; unchanged afterwards.
        maps: the maps to apply.
        strength: λ; 0 is the original model.
        tasks: names of lm-eval, such as `mmlu` or those in `TRUTHFULQA`; or a custom
            task, as a YAML file or a dict with the same keys.
        few_shot: examples before each question; None uses the default of each task. Tasks
            that set it to 0, such as TruthfulQA, ignore this argument.
        limit: questions of each task (MMLU is 57 tasks); None uses all.

    Returns:
        `task/metric` -> value, such as `mmlu/acc` from 0 to 1. The parts of a group are included.

    Raises:
        UserError: lm-eval is not installed, a task is not known, or its questions could
            not be downloaded.
    """
    simple_evaluate, wrap, known = import_harness()
    _check(tasks, known.all_tasks)
    rows = 1 if model.network.device.type == "cpu" else _ROWS_ON_GPU
    judged = wrap(pretrained=model.network, tokenizer=model.tokenizer, batch_size=rows)
    try:
        with offline_when_unreachable(), fold(model.network, maps, strength):
            results = simple_evaluate(
                judged,
                tasks=list(tasks),
                num_fewshot=few_shot,
                limit=limit,
                task_manager=known,
                bootstrap_iters=0,
                log_samples=False,
                # None leaves the global random state as it is; lm-eval draws examples from a
                # separate generator.
                random_seed=None,
                numpy_random_seed=None,
                torch_random_seed=None,
            )
    except HUB_ERRORS as error:
        raise UserError(
            "E_DATA",
            f"the questions could not be downloaded ({first_line(error)})",
            where=", ".join(map(_name, tasks)),
            remedy="Run it once with a connection to the hub; the questions are cached.",
        ) from error
    return _values(results["results"])


def import_harness() -> tuple[Callable[..., Any], Callable[..., Any], Any]:
    """Import lm-eval; return its evaluation, its class for models, and its known tasks.

    Raises:
        UserError: lm-eval is not installed, or too old.
    """
    try:
        from lm_eval import simple_evaluate
        from lm_eval.models.huggingface import HFLM
        from lm_eval.tasks import TaskManager
    except (ImportError, AttributeError) as error:  # AttributeError: lm-eval is too old
        raise UserError(
            "E_NOT_INSTALLED",
            f"the evaluation harness is not installed or too old ({error})",
            remedy='Run `pip install "lm-eval>=0.4.12"`.',
        ) from error
    return simple_evaluate, HFLM, TaskManager()


def _values(results: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Return the metrics without standard errors and sizes; `acc,none` becomes `acc`."""
    return {
        f"{task}/{metric.removesuffix(',none')}": float(value)
        for task, row in results.items()
        for metric, value in row.items()
        if "," in metric and "_stderr," not in metric
    }


def _check(tasks: Sequence[str | dict[str, Any]], known: Sequence[str]) -> None:
    for task in tasks:
        if isinstance(task, str) and task not in known and not Path(task).is_file():
            close = difflib.get_close_matches(task, known, n=3, cutoff=0.3)
            raise UserError(
                "E_TASK",
                f"the harness has no task {task!r}",
                remedy=f"The closest are {', '.join(close)}; `lm-eval ls tasks` lists all.",
            )


def _name(task: str | dict[str, Any]) -> str:
    return task if isinstance(task, str) else str(task.get("task"))
