"""Parse the text of a prompt file: lines, a document with lists, or a table.

Lines are numbered from 1. Empty lines between csv or jsonl records are skipped.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from lineas_core.errors import UserError
from lineas_core.prompts.errors import listed, plural, prompt_error
from lineas_core.prompts.tables import EXPECTED, Record, Row, Table

__all__ = ["LISTS", "SIDES", "TEXTS", "lines_of", "parse"]

SIDES = ("source", "target", "heldout_source", "heldout_target")
LISTS = (*SIDES, "keywords")
TEXTS = ("name", "description", "license", "kind", "layout")
_SEPARATOR_LINE = r'"?sep=([,;\t|])"?\s*'  # Excel's first line
_NO_NAME = "Unnamed: "  # pandas writes an index without a name, and reads it with this one
_COMMENT = r"#+(\s|$)"  # but #sunset is a prompt


def parse(text: str, suffix: str, notes: list[str]) -> Iterable[Row] | Table:
    """Parse the text of a prompt file.

    Args:
        text: content of the file.
        suffix: `.txt`, `.csv`, `.tsv`, `.json`, `.jsonl` or `.ndjson`.
        notes: gets a sentence on each kind of thing that is skipped.

    Returns:
        A table, or the rows of a format without columns.

    Raises:
        UserError: the format is unknown, or the text breaks its rules.
    """
    match suffix:
        case ".txt":
            return _read_txt(text, notes)
        case ".csv":
            return _read_csv(text, notes)
        case ".tsv":
            return _read_csv(text, notes, "\t")
        case ".json":
            return _read_json(text)
        case ".jsonl" | ".ndjson":
            return _read_jsonl(text)
    raise prompt_error("E_FORMAT", "unknown kind of file")


def lines_of(text: str) -> list[str]:
    """Split a text into lines; CRLF and CR become LF."""
    return io.StringIO(text, newline=None).readlines()


def _read_txt(text: str, notes: list[str]) -> Iterator[Row]:
    comments = 0
    for line, prompt in enumerate(lines_of(text), 1):
        if re.match(_COMMENT, prompt.lstrip()):
            comments += 1
        else:
            yield Row("", prompt, line)
    if comments:
        notes.append(f"{plural(comments, 'comment line')} skipped")


def _read_csv(text: str, notes: list[str], separator: str = "") -> Table:
    """Read a table; without a separator, the one that its first line has most often."""
    content = io.StringIO(text, newline="")  # a newline inside quotes stays as it is
    first, above = content.readline(), 0
    if told := re.fullmatch(_SEPARATOR_LINE, first, re.IGNORECASE):
        separator, above = told[1], 1
    else:
        content.seek(0)
    separator = separator or max(",;\t", key=first.count)
    read = _read_tabs if separator == "\t" else _read_cells
    return read(content.read(), notes, separator, above)


def _read_tabs(text: str, notes: list[str], separator: str, above: int) -> Table:
    """Read tabs with quoted cells or, if that fails, with quotes that are part of the texts.

    A quote at the start of a text and one at the end of a later text look like one cell of several
    records. A cell that is quoted because it has line breaks leaves incomplete lines.
    """
    noted: list[str] = []
    try:
        table = _read_cells(text, noted, separator, above)
    except UserError:
        with suppress(UserError):
            return _read_cells(text, notes, separator, above, csv.QUOTE_NONE)
        raise
    line = next((each.line for each in table.records if _has_line_break(each)), None)
    if line is None:
        notes += noted
        return table
    with suppress(UserError):
        whole = _read_cells(text, [], separator, above, csv.QUOTE_NONE)
        if "\t" in text:  # in a single column, every line is complete
            notes.append(f"quotes are read as a part of the texts, see line {line}")
            table = whole
        else:
            notes.append(f"the quoted text that starts in line {line} has several lines")
    notes += noted
    return table


def _has_line_break(record: Record) -> bool:
    return any(re.search(r"[\r\n]", cell) for cell in record.values.values())


def _read_cells(
    text: str, notes: list[str], separator: str, above: int, quoting: Any = csv.QUOTE_MINIMAL
) -> Table:
    """Read the cells of a table whose first line is line `above` + 1 of the file."""
    content = io.StringIO(text, newline="")
    cells = csv.reader(content, delimiter=separator, quoting=quoting, strict=True)
    line, records = above + 1, []
    try:
        names = [name.strip() for name in next(cells, [])]
        named = _named(names, line)
        line = above + cells.line_num + 1
        for row in cells:
            if len(row) not in (0, len(names)):
                what = f"{plural(len(row), 'cell')} found, {len(names)} expected"
                raise prompt_error("E_CSV", what, line)
            if row:
                records.append(Record(line, {names[k]: row[k] for k in named}))
            line = above + cells.line_num + 1  # a quoted cell may span several lines
    except csv.Error as error:
        raise prompt_error("E_CSV", f"not valid CSV ({error})", line) from error
    if len(named) < len(names):
        places = [str(k) for k in range(1, len(names) + 1) if k - 1 not in {*named}]
        notes.append(f"column {listed(places)} has no name and is skipped")
    return Table(tuple(names[k] for k in named), tuple(records), above + 1, "E_CSV")


def _named(names: list[str], line: int) -> list[int]:
    """Return the positions of the columns with a name; refuse a name that is repeated."""
    named = [k for k, name in enumerate(names) if name and not name.startswith(_NO_NAME)]
    if not named or len({names[k] for k in named}) < len(named):
        what = f"{listed(names) or 'nothing'} found; {EXPECTED} expected"
        raise prompt_error("E_HEADER", what, line)
    return named


def _read_jsonl(text: str) -> Iterable[Row] | Table:
    lines = [line for line, content in enumerate(lines_of(text), 1) if content.strip()]
    contents = filter(str.strip, lines_of(text))
    return _from_items([*map(_decode_json, contents, lines)], lines)


def _from_items(items: list[Any], lines: Iterable[int]) -> Iterable[Row] | Table:
    """Return texts as rows, and objects as a table; a text among objects is its column `text`."""
    if not any(map(_is_object, items)):
        return (Row("", *item) for item in zip(items, lines, strict=True))
    records = [
        Record(line, _flat(item if _is_object(item) else (("text", item),), line))
        for item, line in zip(items, lines, strict=True)
    ]
    columns = dict.fromkeys(name for record in records for name in record.values)
    return Table(tuple(columns), tuple(records), records[0].line, "E_JSON")


def _flat(pairs: Iterable[tuple[str, Any]], line: int) -> dict[str, Any]:
    """Return the values of a record; `{"prompt": {"text": ...}}` becomes `prompt.text`."""
    values: dict[str, Any] = {}
    for name, value in pairs:
        inner = [(f"{name}.{key}", each) for key, each in value] if _is_object(value) else []
        for key, each in inner or [(name, value)]:
            if key in values:
                raise prompt_error("E_JSON", f"key {key[:40]!r} is repeated", line)
            values[key] = each
    return values


def _is_object(value: Any) -> bool:
    return isinstance(value, tuple)


def _read_json(text: str) -> Iterable[Row] | Table:
    text = "".join(lines_of(text))
    document = _decode_json(text)
    if isinstance(document, list):
        return _from_items(document, _item_lines(text, len(document)))
    if not _is_object(document):
        line = next(_json_lines(text))
        raise prompt_error("E_JSON", "an object or a list expected", line)
    return _document_rows(document, _json_lines(text))


def _document_rows(document: Any, lines: Iterator[int]) -> Iterator[Row]:
    """Yield the texts of an object with one list for each side."""
    next(lines)
    seen = set()
    for field, value in document:
        line = next(lines)
        if field in seen or field not in (*LISTS, *TEXTS):
            what = f"key {field[:40]!r} is {'repeated' if field in seen else 'unknown'}"
            raise prompt_error("E_JSON", what, line)
        seen.add(field)
        line = next(lines)
        if field in TEXTS:
            yield Row(field, value, line)
        elif isinstance(value, list):  # zip takes no line after the last item
            yield from (Row(field, *item) for item in zip(value, lines, strict=False))
        else:
            raise prompt_error("E_JSON", "a list expected", line)


def _json_lines(text: str) -> Iterator[int]:
    """Yield the line number of every key and value of a valid JSON text, in their order."""
    line, position = 1, 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[^\s\[\]{},:"]+', text):
        line += text.count("\n", position, token.start())
        position = token.start()
        yield line


def _item_lines(text: str, count: int) -> Iterator[int]:
    """Yield the line number of every item of a valid JSON list, whatever the items are."""
    decoder, between = json.JSONDecoder(parse_int=float), re.compile(r"[\s,]*")
    position = text.index("[") + 1
    line = text.count("\n", 0, position) + 1
    for _ in range(count):
        start = between.match(text, position).end()  # type: ignore[union-attr]
        line += text.count("\n", position, start)
        yield line
        _, position = decoder.raw_decode(text, start)
        line += text.count("\n", start, position)


def _decode_json(text: str, line: int = 1) -> Any:
    """Parse JSON; an object becomes a tuple of pairs, so that a repeated key is detected."""
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=float)
    except json.JSONDecodeError as error:
        what = f"not valid JSON ({error.msg})"
        raise prompt_error("E_JSON", what, line + error.lineno - 1) from error
    except RecursionError as error:
        raise prompt_error("E_JSON", "nested too deep", line) from error
