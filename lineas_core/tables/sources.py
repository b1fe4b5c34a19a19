"""The public data sets of the paper's edition: where they lie, their terms, and what is drawn.

Ids and files are those that the authors' scripts download, except for Wikipedia, whose sentences
the authors do not publish. A draw depends on its seed alone, so that it is the same everywhere.
"""

from __future__ import annotations

import csv
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from lineas_core.errors import UserError, first_line
from lineas_core.metrics.truthfulness import TRUTHFULQA
from lineas_core.models.hub import download_data
from lineas_core.prompts.prompt_set import PromptSet

__all__ = [
    "JIGSAW",
    "MMLU",
    "PROMPTS_OF_TET",
    "QUESTIONS_OF_MMLU",
    "REAL_TOXICITY_PROMPTS",
    "SAMPLED",
    "SENTENCES",
    "SOURCES",
    "TET",
    "WIKIPEDIA",
    "Source",
    "jigsaw",
    "place_of_copy",
    "real_toxicity_prompts",
    "tet_prompts",
    "wikipedia_sentences",
]

JIGSAW = "dirtycomputer/Toxic_Comment_Classification_Challenge"
REAL_TOXICITY_PROMPTS = "allenai/real-toxicity-prompts"
TET = "convoicon/Thoroughly_Engineered_Toxicity"
WIKIPEDIA = "sentence-transformers/wikipedia-en-sentences"
MMLU = "cais/mmlu"
SAMPLED, PROMPTS_OF_TET, SENTENCES, QUESTIONS_OF_MMLU = 1000, 2546, 20_000, 14_042
"""Prompts of RealToxicityPrompts in a draw, and the sizes of the others (LinEAS, section 4.1)."""


@dataclass(frozen=True)
class Source:
    """A data set on the hub.

    Attributes:
        terms: licence, and what has to be done before the download.
        megabytes: size of what is downloaded.
        file: path within the repository; empty if another package reads it.
        note: what a reader of a plan should know about it.
        origin: where the file can be had by hand, if not from the hub.
    """

    terms: str
    megabytes: float
    file: str = ""
    note: str = ""
    origin: str = ""


SOURCES: Mapping[str, Source] = {
    JIGSAW: Source(
        "labels CC0, comments CC BY-SA 3.0",
        69,
        "train.csv",
        "a copy of Kaggle's file, the one that the authors take",
        "https://www.kaggle.com/c/jigsaw-toxic-comment-classification-challenge/data",
    ),
    REAL_TOXICITY_PROMPTS: Source("Apache-2.0", 68, "prompts.jsonl"),
    TET: Source(
        "Apache-2.0, gated: accept its terms on the hub",
        0.9,
        "data/train-00000-of-00001.parquet",
    ),
    WIKIPEDIA: Source(
        "text of Wikipedia, CC BY-SA",
        342,
        "data/train-00000-of-00002.parquet",
        "not the sentences of the paper, which are not published",
    ),
    TRUTHFULQA: Source("Apache-2.0", 1, note="read with the package datasets"),
    MMLU: Source("MIT", 20, note="read with the package lm-eval"),
}
"""Hub id -> data set."""

_COMMENT = ("comment_text", "text")
_LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
_QUERY = ("query", "prompt", "text")
_SENTENCE = ("sentence", "text")


def jigsaw(count: int, seed: int = 0) -> PromptSet:
    """Draw toxic comments (source) and comments without any of the six labels (target).

    Both sides of Jigsaw's Toxic Comment Classification Challenge are shuffled, and the first
    comments taken, so that a larger draw of the same seed holds the smaller one.

    Args:
        count: comments of each side; fewer if there are fewer.
        seed: of the shuffles.

    Raises:
        UserError: the file could not be downloaded, or is damaged.
    """
    file = _file(JIGSAW)
    toxic: list[str] = []
    harmless: list[str] = []
    for line, (comment, *marks) in _csv_rows(file, [_COMMENT, *((label,) for label in _LABELS)]):
        if any(mark not in ("0", "1") for mark in marks):
            raise _damaged(JIGSAW, file, line, "a label is not 0 or 1")
        if comment.strip() and (marks[0] == "1" or "1" not in marks):
            (toxic if marks[0] == "1" else harmless).append(comment.strip())
    source, target = (tuple(_drawn(texts, count, seed)) for texts in (toxic, harmless))
    return PromptSet(source, target, name=f"jigsaw {count} {seed}")


def real_toxicity_prompts(seed: int = 0) -> list[str]:
    """Draw 1000 prompts of RealToxicityPrompts that have a score of toxicity, as the authors do.

    Raises:
        UserError: the file could not be downloaded, or is damaged.
    """
    file, texts = _file(REAL_TOXICITY_PROMPTS), []
    with file.open("rb") as lines:  # a line that is not UTF-8 is a ValueError of json, too
        for number, line in enumerate(lines, 1):
            try:
                prompt = json.loads(line)["prompt"]
                text, rated = str(prompt["text"]).strip(), prompt.get("toxicity", 0) is not None
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                raise _damaged(REAL_TOXICITY_PROMPTS, file, number, first_line(error)) from error
            if text and rated:
                texts.append(text)
    return _drawn(texts, SAMPLED, seed)


def tet_prompts() -> list[str]:
    """Return the 2546 prompts of Thoroughly Engineered Toxicity (Luong et al., 2024).

    Raises:
        UserError: its terms are not accepted, the file could not be downloaded or is damaged,
            or the package pyarrow is missing.
    """
    return [text for text in _column(TET, _QUERY) if text.strip()]


def wikipedia_sentences() -> list[str]:
    """Return 20,000 sentences of the English Wikipedia, always the same.

    Raises:
        UserError: the file could not be downloaded or is damaged, or the package pyarrow is
            missing.
    """
    # One word has no probability: a sentence is scored from its second word on.
    sentences = [text for text in _column(WIKIPEDIA, _SENTENCE) if " " in text.strip()]
    return _drawn(sentences, SENTENCES, 0)


def place_of_copy(name: str) -> Path:
    """Return where a copy of a data set is looked for before it is downloaded."""
    return user_cache_path("lineas") / "data" / name / SOURCES[name].file


def _file(name: str) -> Path:
    source, copy = SOURCES[name], place_of_copy(name)
    if copy.is_file():
        return copy
    try:
        return download_data(name, source.file)
    except UserError as error:
        if not source.origin:
            raise
        remedy = (
            f"{error.remedy} Or download {copy.name} from {source.origin} and save it as {copy}."
        )
        raise UserError(error.code, error.what, where=error.where, remedy=remedy) from error


def _drawn(texts: Sequence[str], count: int, seed: int) -> list[str]:
    mixed = [*texts]
    random.Random(seed).shuffle(mixed)  # by which the authors' code draws from RealToxicityPrompts
    return mixed[:count]


def _csv_rows(file: Path, columns: Sequence[Sequence[str]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the wanted columns of the rows of Jigsaw, each with the line on which it ends."""
    with file.open(encoding="utf-8-sig", newline="") as lines:
        rows = csv.reader(lines, strict=True)
        try:
            heads = next(rows, [])
            places = [heads.index(_found(names, heads, file)) for names in columns]
            for row in rows:
                yield rows.line_num, [row[place] for place in places]
        except (csv.Error, LookupError, UnicodeDecodeError) as error:
            raise _damaged(JIGSAW, file, rows.line_num, first_line(error)) from error


def _column(name: str, wanted: Sequence[str]) -> list[str]:
    """Read a column of texts from the parquet file of a data set."""
    file = _file(name)
    try:
        from pyarrow import ArrowException, parquet
    except ImportError as error:
        raise UserError(
            "E_NOT_INSTALLED",
            "pyarrow is not installed",
            where=name,
            remedy="Run `pip install pyarrow`.",
        ) from error
    try:
        column = _found(wanted, parquet.read_schema(file).names, file)
        return [
            str(text or "")
            for text in parquet.read_table(file, columns=[column])[column].to_pylist()
        ]
    except (OSError, ArrowException) as error:
        raise _damaged(name, file, 0, first_line(error)) from error


def _found(wanted: Sequence[str], names: Sequence[str], file: Path) -> str:
    """Return the first wanted column that there is, in any case."""
    known = {name.strip().lower(): name for name in names}
    for name in wanted:
        if name in known:
            return known[name]
    raise UserError(
        "E_DATA",
        f"there is no column {' or '.join(wanted)}, only {', '.join(names)}",
        where=str(file),
        remedy=f"If it is damaged, delete {file.resolve()} and run it again.",
    )


def _damaged(name: str, file: Path, line: int, reason: str) -> UserError:
    return UserError(
        "E_DATA",
        f"this is not the file of {name} ({reason})",
        where=f"{file.name}, line {line}" if line else file.name,
        remedy=f"Delete {file.resolve()} and run it again: it is downloaded anew.",
    )
