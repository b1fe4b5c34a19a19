"""The table about truthfulness: multiple choice on questions that the maps have not seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from lineas_core.methods import METHODS, Method
from lineas_core.metrics.harness import import_harness
from lineas_core.metrics.truthfulness import (
    TRUTHFULQA,
    Question,
    load_questions,
    truthfulness,
    truthfulqa,
)
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.steering.folding import fold
from lineas_core.tables.cells import Cell
from lineas_core.tables.names import name_of
from lineas_core.tables.published import mmlu
from lineas_core.tables.sources import MMLU, QUESTIONS_OF_MMLU
from lineas_core.tables.table import Needs, Table
from lineas_core.tables.verdicts import Main, at_full, at_zero
from lineas_core.tables.workbench import (
    LANGUAGE_BUDGET,
    LANGUAGE_MODELS,
    PROMPTS,
    Workbench,
    end_of,
    settings_of,
)

__all__ = ["TABLES", "answer_prompts", "format_row", "mean_row", "split_in_halves"]

_QUESTIONS: Mapping[str, Callable[[], list[Question]]] = {
    "small": lambda: load_questions(PROMPTS / "questions" / "truths.json"),
    "paper": truthfulqa,
}
_SEEDS = {"small": range(2), "paper": range(5)}
_METHODS = ("lineas", "lin-act")
_PRESETS = {("paper", "lin-act"): r".*layernorm"}  # section M; all others use the default preset
_LEARNT_FROM = 32  # number of questions of a half
_PARTS = (0.0, 0.5, 1.0)


def _cells(edition: str) -> list[Cell]:
    return [
        Cell({"model": model, "method": name}, _work(edition, model, METHODS[name]))
        for model in LANGUAGE_MODELS[edition]
        for name in _METHODS
    ]


def _work(edition: str, model_name: str, method: Method) -> Callable[[Workbench], dict]:
    """Learn on each half of the questions, and evaluate on the other half."""
    config = settings_of(method.name, LANGUAGE_BUDGET[edition])
    preset = _PRESETS.get((edition, method.name))

    def work(bench: Workbench) -> dict[str, Any]:
        if edition == "paper":
            import_harness()  # what is missing is reported before hours of learning
        questions, model = _QUESTIONS[edition](), bench.model(model_name)
        scores: dict[float, list[tuple[float, float]]] = {part: [] for part in _PARTS}
        learnt_maps = []
        for seed in _SEEDS[edition]:
            for learnt, asked in split_in_halves(questions, seed):
                prompts = answer_prompts(learnt[:_LEARNT_FROM], f"truths {seed}")
                maps = bench.maps(model, prompts, config=config, method=method.name, preset=preset)
                learnt_maps.append(maps)
                for part in _PARTS:
                    with fold(model.network, maps, part * method.strength):
                        scores[part].append(truthfulness(model, asked))
        rows = [mean_row(p * method.strength, scores[p]) for p in _PARTS]
        for row in (rows[0], rows[-1]) if edition == "paper" else ():
            found = [mmlu(bench, model_name, maps, row["strength"]) for maps in learnt_maps[::2]]
            row["MMLU"] = fmean(found)
        return {"facts": end_of(*learnt_maps), "rows": rows}

    return work


def split_in_halves(
    questions: Sequence[Question], seed: int
) -> list[tuple[Sequence[Question], Sequence[Question]]]:
    """Shuffle the questions; return both ways to take one half and then the other."""
    mixed = random.Random(seed).sample(questions, len(questions))
    one, other = mixed[: len(mixed) // 2], mixed[len(mixed) // 2 :]
    return [(one, other), (other, one)]


def answer_prompts(questions: Sequence[Question], name: str) -> PromptSet:
    """Return prompts from the first false answer of each question to its best true one."""
    source, target = (
        tuple(f"Q: {question.text}\nA: {answers(question)[0]}" for question in questions)
        for answers in (lambda q: q.wrong, lambda q: q.right)
    )
    return PromptSet(source, target, name=name)


def mean_row(strength: float, halves: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Average over halves and seeds; the spread is the standard deviation over seeds.

    Args:
        strength: λ of the row.
        halves: (MC1, MC2) of both halves of the first seed, then of the second, and so on.
    """
    row = {"strength": strength}
    for name, values in zip(("mc1", "mc2"), zip(*halves, strict=True), strict=True):
        seeds = [fmean(pair) for pair in zip(values[::2], values[1::2], strict=True)]
        row |= {name: fmean(values), f"{name}_spread": stdev(seeds)}
    return row


def format_row(row: Mapping[str, Any]) -> str:
    """Format a row: MC1 and MC2 with their spreads, and MMLU if it has that."""
    found = " and ".join(f"{row[n]:.1%} ± {row[f'{n}_spread']:.1%}" for n in ("mc1", "mc2"))
    return found + (f", MMLU {row['MMLU']:.1%}" if "MMLU" in row else "")


def _needs(edition: str) -> Needs:
    """Return two maps for each seed, and five to eight answers to every question."""
    seeds = len(_SEEDS[edition])
    if edition == "small":
        return Needs(maps=2 * seeds, answers=seeds * 64 * 8 * len(_PARTS))
    answers = seeds * 817 * 8 * len(_PARTS) + (seeds + 1) * QUESTIONS_OF_MMLU
    return Needs(data=(TRUTHFULQA, MMLU), maps=2 * seeds, answers=answers)


def _verdict(done: Sequence[Mapping[str, Any]]) -> str:
    """Report MC2 without steering and at full strength, by method."""
    parts = []
    for name in dict.fromkeys(cell["key"]["method"] for cell in done):
        cells = [cell for cell in done if cell["key"]["method"] == name]
        before, full = (fmean(row_of(c)["mc2"] for c in cells) for row_of in (at_zero, at_full))
        parts.append(f"from {before:.1%} to {full:.1%} with {name_of(name)}")
    return f"The probability of all true answers rises {', '.join(parts)}."


TABLES = (
    Table(
        "truthfulness",
        "Truthfulness: probability of true and false answers",
        "Table 14",
        "Each cell shows MC1 (share of questions whose best true answer is likelier than every "
        "false one) and MC2 (probability of all true answers), with the standard deviation over "
        "seeds. Learnt from 32 questions of one half, each with a false and a true answer, and "
        "measured on the other half, both ways. Here 64 questions on common errors, in the "
        "paper's edition the 817 of TruthfulQA, with the accuracy in MMLU with 5 examples "
        "(without steering and at full strength, of the maps of the first half of each seed).",
        _cells,
        format_row,
        {"MC1": lambda row: row["mc1"], "MC2": lambda row: row["mc2"]},
        _verdict,
        Main("MC2", lambda row: row["mc2"], ".1%"),
        needs=_needs,
    ),
)
