"""Read prompt files into rows (field, text, line); every error names the file and line.

Files with both sides:
    csv     columns `source` and `target`, or `text` and `label` (`source` or `target`),
            separated by commas, semicolons or tabs
    json    {"source": [...], "target": [...]}, optionally with the lists "heldout_source",
            "heldout_target", "keywords" and the texts "name", "description", "license",
            "kind"
    jsonl   {"source": ..., "target": ...} or {"text": ..., "label": ...} on every line
Files with one side: txt (one prompt per line), csv (the column `text`), json (a list of texts),
jsonl (a text or {"text": ...} on every line).

Each format has a reader that yields rows; all further checks are shared. Lines are numbered from
1, bytes from 0. Empty lines between csv or jsonl records are skipped. Surrounding white space is
removed from every text.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from lineas_core.errors import UserError
from lineas_core.prompts.errors import plural, prompt_error

__all__ = [
    "MAX_BYTES",
    "MAX_CHARACTERS",
    "MAX_PROMPTS",
    "Row",
    "read_file",
    "read_rows",
    "tidy",
]

MAX_BYTES = 1_000_000  # per file
MAX_CHARACTERS = 2_000  # per prompt
MAX_PROMPTS = 4_096  # per side, before blanks and duplicates are dropped

SIDES = ("source", "target", "heldout_source", "heldout_target")
LISTS = (*SIDES, "keywords")
TEXTS = ("name", "description", "license", "kind")
_LAYOUTS = (["source", "target"], ["label", "text"], ["text"])  # of csv and jsonl records, sorted


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


def read_file(path: Path) -> tuple[bytes, str]:
    """Read a file, one byte beyond the limit at most.

    Returns:
        Its content and its name.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise prompt_error("E_FILE", "no such file", str(path))
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), path.name
    except OSError as error:
        raise prompt_error("E_FILE", f"cannot be read ({error.strerror})", str(path)) from error


def read_rows(data: bytes, filename: str, side: str = "") -> list[Row]:
    """Parse the content of a prompt file.

    Args:
        data: the bytes of the file.
        filename: its name; the suffix selects the format.
        side: the side that the file holds, such as `source`; empty for a file with both.

    Raises:
        UserError: the content breaks a rule of this module; the message names file and line.
    """
    rows: list[Row] = []
    counts = Counter[str]()
    try:
        reader = _READERS.get(PurePath(filename).suffix.lower())
        if reader is None:
            raise prompt_error("E_FORMAT", "unknown kind of file")
        for field, content, line in reader(_decode(data)):
            text = _check_text(content, line)
            if bool(field) == bool(side):
                what = f"holds {'both sides' if side else 'one side only'}"
                raise prompt_error("E_SIDES" if side else "E_ONE_SIDE", what, line if rows else "")
            counts[field] += 1
            if counts[field] > MAX_PROMPTS:
                raise prompt_error(
                    "E_TOO_MANY", f"more than {MAX_PROMPTS:,} prompts on a side", line
                )
            rows.append(Row(field or side, text, line))
    except UserError as error:
        where = f"{filename}, {error.where}" if error.where else filename
        raise prompt_error(error.code, error.what, where) from error
    return rows


def _decode(data: bytes) -> str:
    """Decode bytes as UTF-8, or as UTF-16 if they start with its byte order mark."""
    if len(data) > MAX_BYTES:
        raise prompt_error("E_TOO_LARGE", f"larger than {MAX_BYTES:,} bytes")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    if encoding == "utf-8" and 0 in data:  # as in pictures, programs and archives
        raise prompt_error("E_BINARY", f"looks binary (NUL at byte {data.index(0)})")
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = len(_lines(data[: error.start].decode(encoding, "ignore") + "|"))
        what = f"not {encoding.upper()} at byte {error.start} ({error.reason})"
        raise prompt_error("E_ENCODING", what, line) from error


def _check_text(text: object, line: int) -> str:
    """Check that a value is a valid prompt; returns it without surrounding white space."""
    if not isinstance(text, str):
        raise prompt_error("E_JSON", "a text expected", line)
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        what = f"{len(text):,} characters found, at most {MAX_CHARACTERS:,} allowed"
        raise prompt_error("E_TOO_LONG", what, line)
    if invalid := re.search("[\0\ud800-\udfff]", text):
        raise prompt_error("E_ENCODING", f"{invalid[0]!r} is no character of a text", line)
    return text


def _lines(text: str) -> list[str]:
    return io.StringIO(text, newline=None).readlines()  # CRLF and CR become LF


def _read_txt(text: str) -> Iterator[Row]:
    return (Row("", prompt, line) for line, prompt in enumerate(_lines(text), 1))


def _read_csv(text: str) -> Iterator[Row]:
    lines = io.StringIO(text, newline="")  # a newline inside quotes stays as it is
    separator = max(",;\t", key=lines.readline().count)
    lines.seek(0)
    table = csv.reader(lines, delimiter=separator, strict=True)
    line = 1
    try:
        names = [name.strip() for name in next(table, [])]
        _check_names(names, "E_CSV", line)
        line = table.line_num + 1
        for cells in table:
            if len(cells) not in (0, len(names)):
                what = f"{plural(len(cells), 'cell')} found, {len(names)} expected"
                raise prompt_error("E_CSV", what, line)
            if cells:
                yield from _split(dict(zip(names, cells, strict=True)), "E_CSV", line)
            line = table.line_num + 1  # a quoted cell may span several lines
    except csv.Error as error:
        raise prompt_error("E_CSV", f"not valid CSV ({error})", line) from error


def _read_jsonl(text: str) -> Iterator[Row]:
    for line, content in enumerate(_lines(text), 1):
        if content.strip():
            record = _decode_json(content, line)
            pairs = record if isinstance(record, tuple) else [("text", record)]
            _check_names([name for name, _ in pairs], "E_JSON", line)
            yield from _split(dict(pairs), "E_JSON", line)


def _check_names(names: list[str], code: str, line: int) -> None:
    if sorted(names) not in _LAYOUTS:
        found = ", ".join(names)[:80] or "nothing"
        expected = "source and target, text and label, or text"
        raise prompt_error(code, f"{found} found; {expected} expected", line)


def _split(record: dict[str, Any], code: str, line: int) -> Iterator[Row]:
    """Yield the texts of one csv or jsonl record."""
    if "label" not in record:
        for name, text in record.items():
            yield Row("" if name == "text" else name, text, line)
    elif record["label"] in ("source", "target"):
        yield Row(record["label"], record["text"], line)
    else:
        raise prompt_error(
            code, f"label {record['label']!r:.40} found; source or target expected", line
        )


def _read_json(text: str) -> Iterator[Row]:
    text = "".join(_lines(text))
    document, lines = _decode_json(text), _json_lines(text)
    line = next(lines)
    if isinstance(document, list):
        yield from (Row("", *item) for item in zip(document, lines, strict=False))
        return
    if not isinstance(document, tuple):
        raise prompt_error("E_JSON", "an object or a list expected", line)
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


def _decode_json(text: str, line: int = 1) -> Any:
    """Parse JSON; an object becomes a tuple of pairs, so that a repeated key is detected."""
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=float)
    except json.JSONDecodeError as error:
        what = f"not valid JSON ({error.msg})"
        raise prompt_error("E_JSON", what, line + error.lineno - 1) from error
    except RecursionError as error:
        raise prompt_error("E_JSON", "nested too deep", line) from error


_READERS: dict[str, Callable[[str], Iterator[Row]]] = {
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
}


def tidy(rows: list[Row], label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drop blank and duplicate texts.

    Args:
        rows: the texts of one field.
        label: name of the field or file for the notes.

    Returns:
        The remaining texts, and a sentence on the dropped ones of each kind.
    """
    lines: dict[str, list[int]] = {}
    for row in rows:
        lines.setdefault(row.text, []).append(row.line)
    blanks = lines.pop("", [])
    duplicates = sorted(line for repeats in lines.values() for line in repeats[1:])
    notes = []
    for kind, dropped in (("blank", blanks), ("duplicate", duplicates)):
        if dropped:
            first = ", ".join(map(str, dropped[:5])) + ", ..." * (len(dropped) > 5)
            notes.append(f"{label}: {plural(len(dropped), kind)} dropped (line {first})")
    return tuple(lines), tuple(notes)
