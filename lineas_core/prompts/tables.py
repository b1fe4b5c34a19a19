"""Prompts in columns: which column of a table holds what, and the rows that follow from it.

Layouts with both sides:
    pairs       one column with source prompts and one with target prompts
    labelled    one column with prompts and one with a label; one label is the source, all others
                are the target

Columns and labels are recognised by their names in any case: `source` and `target`, `text` and
`label`, and the usual names of public data sets, see below. A label column may hold scores from 0
to 1; 0.5 or more counts as 1. What is not recognised for certain is an error that asks for
`Columns`, never a guess.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

from lineas_core.prompts.errors import listed, plural, prompt_error
from lineas_core.prompts.labels import (
    are_flags,
    are_scores,
    are_texts,
    is_missing,
    label_of,
    labels_of,
    side_of,
)

__all__ = [
    "EXPECTED",
    "PAIRS",
    "Columns",
    "Record",
    "Row",
    "Table",
    "guess_columns",
    "rows_of",
]

_TEXTS = ("text", "prompt.text", "prompt", "comment_text", "comment", "sentence", "caption")
_LABELS = ("label", "labels", "class", "sentiment", "target")
EXPECTED = "source and target, text and label, or text"
"""The usual columns, for messages."""
PAIRS = "pairs"
"""The text `layout` of a set whose line k of the source belongs to line k of the target."""
_STYLES = {"prompt", "negative_prompt"}  # columns of a web UI's styles


class Row(NamedTuple):
    """One text of a prompt file.

    Attributes:
        field: side or key, such as `source` or `name`; empty in a file with one side.
        text: the text, without surrounding white space.
        line: its line in the file, from 1.
    """

    field: str
    text: str
    line: int


class Record(NamedTuple):
    """One record of a table: its line in the file, from 1, and its values by column."""

    line: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Table:
    """The records of a file with columns.

    Attributes:
        columns: names of the columns, different ones.
        records: the records; JSON records may lack columns.
        line: line of their names in the file, from 1.
        code: code of the error for an invalid record.
    """

    columns: tuple[str, ...]
    records: tuple[Record, ...]
    line: int
    code: str

    @property
    def names(self) -> dict[str, str]:
        """Lower-case name -> column: the one that is written so, if there are several."""
        exact = {name: name for name in self.columns if name == name.casefold()}
        return {name.casefold(): name for name in self.columns} | exact

    def values(self, column: str) -> list[Any]:
        """Return the values of a column that are not missing; none for an unknown column."""
        values = (record.values.get(column) for record in self.records)
        return [value for value in values if not is_missing(value)]


@dataclass(frozen=True)
class Columns:
    """Which column of a table holds what; what is empty is found by name.

    Attributes:
        text: column with prompts of both sides, or of one in a file with one side.
        label: column that says which side each prompt is on.
        source_label: the label of source prompts; all others are target prompts.
        source: column with source prompts, in a table of pairs.
        target: column with target prompts, in a table of pairs.
    """

    text: str = ""
    label: str = ""
    source_label: str = ""
    source: str = ""
    target: str = ""


def guess_columns(table: Table, chosen: Columns) -> Columns:
    """Complete a choice of columns as far as their names and values are certain.

    Args:
        table: the table.
        chosen: the columns that the user has named; in any case where none is named exactly so.

    Raises:
        UserError: a named column or label does not exist.
    """
    chosen = _existing(table, chosen)
    if chosen.source or chosen.target:
        return chosen
    names = table.names
    labelled = chosen.text or chosen.label or chosen.source_label
    if not labelled and (pair := _pair(table, names)):
        return Columns(source=pair[0], target=pair[1])
    text = chosen.text or next((names[n] for n in _TEXTS if n in names), "")
    label = chosen.label or next((names[n] for n in _LABELS if n in names), "")
    if label and not text:
        others = [n for n in table.columns if n != label and are_texts(table.values(n))]
        text = others[0] if len(others) == 1 else ""
    if text and not label:
        flags = [name for name in table.columns if name != text and are_flags(table.values(name))]
        label = next((name for name in flags if side_of(name) == "source"), "")
    scores = are_scores([*table.values(label), chosen.source_label])
    source_label = label_of(chosen.source_label, scores=scores) or _source_label(table, label)
    labels = labels_of(table.values(label))
    if label and source_label and source_label not in labels:
        what = f"there is no label {source_label!r:.60} among {listed(labels)}"
        raise prompt_error("E_COLUMN", what, f"column {label}")
    return Columns(text, label, source_label)


def rows_of(table: Table, chosen: Columns, side: str, notes: list[str]) -> Iterator[Row]:
    """Yield the prompts of a table.

    Args:
        table: the table.
        chosen: the columns that the user has named.
        side: the side that the file holds; empty for a file with both.
        notes: gets a sentence on columns with other names than usual, and on what is skipped.

    Yields:
        Rows whose field is `source` or `target`, or empty for a file with one side; before pairs,
        the text `layout`.

    Raises:
        UserError: it is not certain which column holds what (E_COLUMNS), or which label is the
            source (E_LABELS); or a record is invalid.
    """
    columns = guess_columns(table, chosen)
    names = {name.casefold() for name in table.columns}
    if names >= _STYLES and chosen == Columns():
        what = f"the columns {listed(table.columns)} are those of a web UI's styles"
        raise prompt_error("E_STYLES", what, table.line)
    several = columns.source or len(labels_of(table.values(columns.label))) > 1
    if side and (chosen.text or not several):
        columns = Columns(text=columns.text)
    if not _are_certain(columns, table, side):
        raise _unclear(table, columns)
    _note_columns(table, columns, notes)
    if columns.source:
        return _pairs(table, columns)
    if not columns.label:
        return (Row("", _text(table, each, columns.text), each.line) for each in table.records)
    strict = columns.source_label == "source" and not chosen.source_label
    return _labelled(table, columns, notes, strict=strict)


def _existing(table: Table, chosen: Columns) -> Columns:
    """Return the chosen columns as the table writes them."""
    names = table.names | {name: name for name in table.columns}
    for field in fields(Columns):
        value = getattr(chosen, field.name).strip()
        if not value or field.name == "source_label":
            continue
        found = names.get(value) or names.get(value.casefold())
        if not found:
            what = f"there is no column {value!r:.60} among {listed(table.columns)}"
            raise prompt_error("E_COLUMN", what)
        chosen = replace(chosen, **{field.name: found})
    return chosen


def _pair(table: Table, names: dict[str, str]) -> tuple[str, str] | None:
    """Return the columns of source and target prompts, if the table has one for each side."""
    if "source" in names and "target" in names:
        pair = names["source"], names["target"]  # numbers are a label beside a provenance
        return None if any(are_scores(table.values(name)) for name in pair) else pair
    texts = [name for name in table.columns if are_texts(table.values(name))]
    sources = [name for name in texts if side_of(name) == "source"]
    others = [name for name in texts if name not in sources]
    # Beside a column with a usual name of texts, the source column may hold labels in words.
    targets = [name for name in others if side_of(name) == "target"]
    targets = targets or [name for name in others if name.casefold() not in _TEXTS]
    return (sources[0], targets[0]) if len(sources) == len(targets) == 1 else None


def _source_label(table: Table, column: str) -> str:
    """Return the label of source prompts; empty if the names do not tell."""
    if not column:
        return ""
    labels = labels_of(table.values(column))
    if "source" in labels:  # then all others have to be `target`, unless the caller named it
        return "source"
    if {*labels} <= {"0", "1"}:
        return "1" if side_of(column) == "source" else ""
    sources = [label for label in labels if side_of(label) == "source"]
    return sources[0] if len(labels) == 2 and len(sources) == 1 else ""


def _are_certain(columns: Columns, table: Table, side: str) -> bool:
    pair = columns.source and columns.target
    if side:
        return bool(columns.text or pair)
    alone = columns.text and len(table.columns) == 1  # the file has one side only
    return bool(pair or (columns.text and columns.source_label) or alone)


def _unclear(table: Table, columns: Columns) -> Exception:
    """Return the error for a table whose columns or labels do not tell which is which."""
    if columns.text and columns.label:
        found = listed(labels_of(table.values(columns.label))) or "no label"
        what = f"{found} found, and it is not certain which one is the source"
        return prompt_error("E_LABELS", what, f"column {columns.label}")
    what = f"{listed(table.columns)} found; {EXPECTED} expected"
    if columns.text:
        others = [name for name in table.columns if name != columns.text]
        what = f"{columns.text} holds prompts, but no column says which side they are on, of "
        what += listed(sorted(others, key=lambda name: not side_of(name)))
    return prompt_error("E_COLUMNS", what, table.line)


def _note_columns(table: Table, columns: Columns, notes: list[str]) -> None:
    used = [name for name in (columns.source, columns.target, columns.text, columns.label) if name]
    others = [name for name in table.columns if name not in used]
    usual = {name.casefold() for name in used} <= {"source", "target", "text", "label"}
    if usual and not others and columns.source_label in ("", "source"):
        return
    note = f"source is {columns.source}, target is {columns.target}"
    if columns.text:
        note = f"the prompts are in {columns.text}"
    if columns.label:
        target = [x for x in labels_of(table.values(columns.label)) if x != columns.source_label]
        note += (
            f"; {columns.label} {columns.source_label} is the source, {listed(target)} the target"
        )
    notes.append(note + f"; {listed(others)} skipped" * bool(others))


def _pairs(table: Table, columns: Columns) -> Iterator[Row]:
    yield Row("layout", PAIRS, table.line)
    for record in table.records:
        for side, column in (("source", columns.source), ("target", columns.target)):
            yield Row(side, _text(table, record, column), record.line)


def _labelled(table: Table, columns: Columns, notes: list[str], *, strict: bool) -> Iterator[Row]:
    scores, missing = are_scores(table.values(columns.label)), 0
    if scores and not are_flags(table.values(columns.label)):
        notes.append(f"{columns.label} is a score: 0.5 or more counts as 1")
    for record in table.records:
        label = label_of(record.values.get(columns.label), scores=scores)
        if strict and label not in ("", "source", "target"):
            what = f"label {label!r:.40} found; source or target expected"
            raise prompt_error("E_LABEL", what, record.line)
        missing += not label
        if label:
            side = "source" if label == columns.source_label else "target"
            yield Row(side, _text(table, record, columns.text), record.line)
    if missing:
        notes.append(f"{plural(missing, 'record')} without a label skipped")


def _text(table: Table, record: Record, column: str) -> Any:
    """Return a prompt; a missing value is blank."""
    if column not in record.values:
        found = listed(record.values) or "nothing"
        raise prompt_error(table.code, f"{found} found; {column} expected", record.line)
    value = record.values[column]
    return "" if value is None else value
