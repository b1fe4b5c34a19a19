"""Read prompt files into rows (field, text, line); every error names the file and line.

Files with both sides:
    csv, tsv, jsonl, ndjson, json with a list of records
            tables: columns `source` and `target`, or `text` and `label`, or others that
            `lineas_core.prompts.tables` recognises or that the caller names
    json    {"source": [...], "target": [...]}, optionally with the lists "heldout_source",
            "heldout_target", "keywords" and the texts "name", "description", "license",
            "kind", and "layout", which is "pairs" if item k of both lists belongs together
Files with one side: txt (one prompt per line, comments start with #), tables with the column
`text`, json (a list of texts), jsonl (a text on every line).

`formats` parses the text of a file, `tables` finds the columns, and all further checks are here.
Bytes are numbered from 0. Surrounding white space is removed from every text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from lineas_core.errors import UserError
from lineas_core.prompts.errors import plural, prompt_error
from lineas_core.prompts.formats import lines_of, parse
from lineas_core.prompts.tables import Columns, Row, Table, rows_of

__all__ = [
    "MAX_BYTES",
    "MAX_CHARACTERS",
    "MAX_KEYWORD",
    "MAX_KEYWORDS",
    "MAX_PROMPTS",
    "Content",
    "are_keywords",
    "read_file",
    "read_lines",
    "read_rows",
    "read_table",
    "tidy",
    "tidy_pairs",
]

MAX_BYTES = 1_000_000  # per file
MAX_CHARACTERS = 2_000  # per prompt
MAX_PROMPTS = 4_096  # per side, before blanks and duplicates are dropped
MAX_KEYWORDS = 100  # all of them are looked for at every word of a text
MAX_KEYWORD = 100  # characters
_HIGH = rb"[\x80-\xff]"


class Content(NamedTuple):
    """The content of a prompt file.

    Attributes:
        rows: its texts.
        notes: one sentence on each kind of thing that was skipped or read in another way.
    """

    rows: list[Row]
    notes: list[str]


def are_keywords(values: Sequence[object]) -> bool:
    """Return whether values are texts, and as few and short as keywords have to be."""
    return len(values) <= MAX_KEYWORDS and all(
        isinstance(each, str) and len(each) <= MAX_KEYWORD for each in values
    )


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


def read_rows(
    data: bytes,
    filename: str,
    side: str = "",
    columns: Columns = Columns(),  # noqa: B008 - frozen
    limit: int = MAX_BYTES,
) -> Content:
    """Parse the content of a prompt file.

    Args:
        data: the bytes of the file.
        filename: its name; the suffix selects the format.
        side: the side that the file holds, such as `source`; empty for a file with both.
        columns: the columns of a table that the caller names; the others are found by name.
        limit: most bytes of the file.

    Raises:
        UserError: the content breaks a rule of this module, or it is not certain which column
            holds what; the message names file and line.
    """
    notes: list[str] = []
    try:
        parsed = parse(_decode(data, notes, limit), PurePath(filename).suffix.lower(), notes)
        if isinstance(parsed, Table):
            parsed = rows_of(parsed, columns, side, notes)
        elif columns != Columns():
            raise prompt_error("E_COLUMN", "the file has no columns")
        rows = _check_rows(parsed, side)
    except UserError as error:
        raise _in_file(error, filename) from error
    return Content(rows, [f"{filename}: {note}" for note in notes])


def read_lines(text: str, side: str) -> list[Row]:
    """Parse a text with one prompt per line, each taken as it is.

    Raises:
        UserError: the text breaks a rule of this module; the message names side and line.
    """
    name = f"{side}.txt"
    try:
        data = text.encode("utf-8", "surrogatepass")  # rejected below, with its line
        lines = enumerate(lines_of(_decode(data, [])), 1)
        return _check_rows((Row("", prompt, line) for line, prompt in lines), side)
    except UserError as error:
        raise _in_file(error, name) from error


def read_table(data: bytes, filename: str) -> Table:
    """Parse the content of a file with columns, for a choice among them.

    Raises:
        UserError: the file has no columns, or its content is invalid.
    """
    try:
        parsed = parse(_decode(data, []), PurePath(filename).suffix.lower(), [])
        if isinstance(parsed, Table):
            return parsed
        raise prompt_error("E_COLUMN", "the file has no columns")
    except UserError as error:
        raise _in_file(error, filename) from error


def _check_rows(found: Iterable[Row], side: str) -> list[Row]:
    """Check every text, its side and the number of texts."""
    rows: list[Row] = []
    counts = Counter[str]()
    for field, content, line in found:
        text = _check_text(content, line)
        if bool(field) == bool(side):
            what = f"holds {'both sides' if side else 'one side only'}"
            raise prompt_error("E_SIDES", what, line if rows else "")
        counts[field] += 1
        if counts[field] > MAX_PROMPTS:
            raise prompt_error("E_TOO_MANY", f"more than {MAX_PROMPTS:,} prompts on a side", line)
        rows.append(Row(field or side, text, line))
    return rows


def _in_file(error: UserError, filename: str) -> UserError:
    where = f"{filename}, {error.where}" if error.where else filename
    return prompt_error(error.code, error.what, where)


def _decode(data: bytes, notes: list[str], limit: int = MAX_BYTES) -> str:
    """Decode bytes as UTF-8, as UTF-16 after its byte order mark, or else as Windows-1252."""
    if len(data) > limit:
        raise prompt_error("E_TOO_LARGE", f"larger than {limit:,} bytes")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    if encoding == "utf-8" and 0 in data:  # as in pictures, programs and archives
        raise prompt_error("E_BINARY", f"looks binary (NUL at byte {data.index(0)})")
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        if encoding == "utf-8" and _is_windows_1252(data):
            notes.append("not UTF-8, read as Windows-1252; check accents and quotation marks")
            return data.decode("cp1252")
        line = len(lines_of(data[: error.start].decode(encoding, "ignore") + "|"))
        what = f"not {encoding.upper()} at byte {error.start} ({error.reason})"
        raise prompt_error("E_ENCODING", what, line) from error


def _is_windows_1252(data: bytes) -> bool:
    """Whether bytes that are no UTF-8 can be a western text as Excel writes it.

    Damaged UTF-8 consists of valid characters for the most part; scripts that are not Latin, in
    their own encodings, have more bytes above 127 than letters of ASCII.
    """
    try:
        data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    valid = data.decode("utf-8", "ignore").encode()
    high = len(re.findall(_HIGH, data))
    return 2 * len(re.findall(_HIGH, valid)) < high <= len(re.findall(rb"[A-Za-z]", data))


def _check_text(text: object, line: int) -> str:
    """Check that a value is a valid prompt; returns it without surrounding white space."""
    if not isinstance(text, str):
        raise prompt_error("E_JSON", "a text expected", line)
    text = text.strip()
    if len(text) > MAX_CHARACTERS:
        what = f"{len(text):,} characters found, at most {MAX_CHARACTERS:,} allowed"
        raise prompt_error("E_TOO_LONG", what, line)
    if invalid := re.search("[\0\ud800-\udfff]", text):
        raise prompt_error("E_ENCODING", f"{invalid[0]!r} is not a character of a text", line)
    return text


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
            notes.append(f"{label}: {plural(len(dropped), kind)} dropped ({_places(dropped)})")
    return tuple(lines), tuple(notes)


def tidy_pairs(source: list[Row], target: list[Row]) -> tuple[list[tuple[str, str]], list[str]]:
    """Drop pairs with a blank prompt and repeated pairs, so that the others stay pairs.

    Args:
        source: the n texts of one side.
        target: the n texts of the other side.

    Returns:
        The remaining pairs, and a sentence on the dropped ones of each kind.

    Raises:
        UserError: the sides differ in size.
    """
    least = min(len(source), len(target))
    if not any(row.text for row in (*source[least:], *target[least:])):  # empty lines at an end
        source, target = source[:least], target[:least]
    if len(source) != len(target):
        what = f"the layout is pairs, but the sides have {len(source)} and {len(target)} prompts"
        raise prompt_error("E_LAYOUT", what)
    lines: dict[tuple[str, str], list[int]] = {}
    for one, other in zip(source, target, strict=True):
        lines.setdefault((one.text, other.text), []).append(one.line)
    blanks = sorted(line for pair in lines if "" in pair for line in lines[pair])
    kept = [pair for pair in lines if "" not in pair]
    repeats = sorted(line for pair in kept for line in lines[pair][1:])
    notes = []
    for dropped, noun in ((blanks, "incomplete pair"), (repeats, "repeated pair")):
        if dropped:
            notes.append(f"{plural(len(dropped), noun)} dropped ({_places(dropped)})")
    return kept, notes


def _places(lines: list[int]) -> str:
    return "line " + ", ".join(map(str, lines[:5])) + ", ..." * (len(lines) > 5)
