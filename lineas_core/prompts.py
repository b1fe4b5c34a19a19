"""Prompt sets: the sentences a map is learnt from, read strictly and reported honestly.

A map moves the activations of the `source` prompts onto those of the `target` prompts (LinEAS,
section 3); held-out prompts of either side are never learnt from, only measured on.

Files with both sides:
    csv     columns `source` and `target`, or `text` and `label` (`source` or `target`),
            separated by commas, semicolons or tabs
    json    {"source": [...], "target": [...]}, optionally with the lists "heldout_source",
            "heldout_target", "keywords" and the texts "name", "description", "license"
    jsonl   {"source": ..., "target": ...} or {"text": ..., "label": ...} on every line
Files with one side: txt (one prompt per line), csv (the column `text`), json (a list of texts),
jsonl (a text or {"text": ...} on every line).

One reader per format yields rows (field, text, line); all that follows is shared. Lines count
from 1, bytes from 0. Empty lines between csv or jsonl records are skipped. A text stays as it
is, apart from the white space around it.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path, PurePath
from typing import Any, NamedTuple

from lineas_core.errors import UserError

__all__ = ["MAX_BYTES", "MAX_CHARACTERS", "MAX_PROMPTS", "MIN_PROMPTS", "PromptSet"]

MAX_BYTES = 1_000_000  # of a file
MAX_CHARACTERS = 2_000  # of a prompt
MAX_PROMPTS = 4_096  # of a side, before blanks and duplicates are dropped
MIN_PROMPTS = 2  # of a side: one prompt has no spread

_SIDES = ("source", "target", "heldout_source", "heldout_target")
_LISTS = (*_SIDES, "keywords")
_TEXTS = ("name", "description", "license")
_LAYOUTS = (["source", "target"], ["label", "text"], ["text"])  # of csv and jsonl records, sorted
_KINDS = {str: "a text", list: "a list", tuple: "an object"}
_REMEDIES = {
    "E_BINARY": "Save the prompts as UTF-8 text.",
    "E_COUNT": "Choose a number in this range.",
    "E_CSV": "Correct this line; a text with the separator in it stands in double quotes.",
    "E_ENCODING": "Save the prompts as UTF-8 text.",
    "E_FILE": "Check the path.",
    "E_FORMAT": "Use a txt, csv, json or jsonl file.",
    "E_JSON": "Correct this line.",
    "E_SIDES": "Give one file with both sides, or two files with one side each.",
    "E_TOO_FEW": "Add prompts to this side.",
    "E_TOO_LARGE": "Keep fewer prompts.",
    "E_TOO_LONG": "Shorten this text.",
    "E_TOO_MANY": "Keep fewer prompts.",
}


@dataclass(frozen=True)
class PromptSet:
    """The two sides a map is learnt between.

    Attributes:
        source: Prompts whose activations are moved, at least two.
        target: Prompts onto whose activations they are moved, at least two.
        heldout_source: Source prompts to measure on; empty: none.
        heldout_target: Target prompts to measure on; empty exactly if `heldout_source` is.
        name: Title of the set; where the file gives none, the file's name.
        description: What the target side has and the source side has not.
        keywords: Words or stems; a text in which some word starts with one is on topic.
        dropped: One sentence for each kind of prompt the reader dropped.
    """

    source: tuple[str, ...]
    target: tuple[str, ...]
    heldout_source: tuple[str, ...] = ()
    heldout_target: tuple[str, ...] = ()
    name: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raises a UserError for a side of fewer than two, or held-out prompts on one side."""
        heldout = 1 if self.heldout_source or self.heldout_target else 0
        for side, least in zip(_SIDES, (MIN_PROMPTS, MIN_PROMPTS, heldout, heldout), strict=True):
            found = len(getattr(self, side))
            if found < least:
                what = f"{_plural(found, 'prompt')} found, at least {least} needed"
                raise _fault("E_TOO_FEW", what, f"{self.name}, {side}" if self.name else side)

    @classmethod
    def load(
        cls, path: str | PathLike[str], target_path: str | PathLike[str] | None = None
    ) -> PromptSet:
        """Reads one file with both sides, or two files with one side each.

        Args:
            path: The file with both sides, or with the source side.
            target_path: The file with the target side; None if `path` holds both.

        Raises:
            UserError: A file cannot be read, or its content breaks a rule of this module.
        """
        if target_path is None:
            return cls.parse(*_read_file(Path(path)))
        return cls.parse(*_read_file(Path(path)), *_read_file(Path(target_path)))

    @classmethod
    def parse(
        cls,
        data: bytes,
        filename: str,
        target_data: bytes | None = None,
        target_filename: str = "",
    ) -> PromptSet:
        """Does what `load` does, with the content of the files and their names."""
        if target_data is None:
            return cls._from_rows(_read_rows(data, filename), PurePath(filename).stem)
        rows = _read_rows(data, filename, side="source")
        rows += _read_rows(target_data, target_filename, side="target")
        return cls._from_rows(rows, PurePath(target_filename).stem)

    @classmethod
    def from_texts(cls, source: str, target: str) -> PromptSet:
        """Reads two texts with one prompt per line, under the rules for files."""
        rows = []
        for side, text in (("source", source), ("target", target)):
            data = text.encode("utf-8", "surrogatepass")  # the reader refuses it with its line
            rows += _read_rows(data, f"{side}.txt", side=side)
        return cls._from_rows(rows, name="")

    @staticmethod
    def parse_side(data: bytes, filename: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Reads a file with one side: its prompts, and a sentence for each kind it dropped."""
        return _tidy(_read_rows(data, filename, side="source"), filename)

    @property
    def notes(self) -> tuple[str, ...]:
        """One sentence for each thing dropped, and for each thing to know about the set."""
        notes = list(self.dropped)
        n, m = len(self.source), len(self.target)
        if n != m:
            notes.append(f"sizes differ ({n} and {m}): quantile matching is used")
        for one, other in (_SIDES[:2], _SIDES[::2], _SIDES[1::2]):
            if shared := set(getattr(self, one)) & set(getattr(self, other)):
                notes.append(f"{one} and {other} share {_plural(len(shared), 'prompt')}")
        if set(self.source) == set(self.target):
            notes.append("source and target are equal: the map will be the identity")
        return tuple(notes)

    def holdout(self, count: int) -> PromptSet:
        """Moves the last `count` prompts of each side to the held-out ones, unless it has some.

        Raises:
            UserError: `count` is negative, or fewer than two prompts would remain on a side.
        """
        if self.heldout_source:
            return self
        _check_count(count, 0, min(len(self.source), len(self.target)) - MIN_PROMPTS)
        n, m = len(self.source) - count, len(self.target) - count
        heldout = {"heldout_source": self.source[n:], "heldout_target": self.target[m:]}
        return replace(self, source=self.source[:n], target=self.target[:m], **heldout)

    def take(self, count: int) -> PromptSet:
        """Keeps the first `count` prompts of each side, and all held-out ones.

        Raises:
            UserError: `count` is below two, or a side has fewer prompts.
        """
        _check_count(count, MIN_PROMPTS, min(len(self.source), len(self.target)))
        return replace(self, source=self.source[:count], target=self.target[:count])

    @classmethod
    def _from_rows(cls, rows: list[_Row], name: str) -> PromptSet:
        tidied = {
            field: _tidy([row for row in rows if row.field == field], field) for field in _LISTS
        }
        texts = {row.field: row.text for row in rows if row.field in _TEXTS}
        return cls(
            *(tidied[side][0] for side in _SIDES),
            name=texts.get("name", name),
            description=texts.get("description", ""),
            keywords=tidied["keywords"][0],
            dropped=tuple(note for _, notes in tidied.values() for note in notes),
        )


class _Row(NamedTuple):
    """One text of a file; `field` is "" in a file that holds one side."""

    field: str
    text: str
    line: int


def _read_file(path: Path) -> tuple[bytes, str]:
    try:
        if not path.is_file():  # a pipe would never end
            raise _fault("E_FILE", "no such file", str(path))
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1), path.name
    except OSError as error:
        raise _fault("E_FILE", f"cannot be read ({error.strerror})", str(path)) from error


def _read_rows(data: bytes, filename: str, side: str = "") -> list[_Row]:
    """Reads a file that holds this one side, or, without one, both; errors name the file."""
    rows = []
    counts = Counter[str]()
    try:
        reader = _READERS.get(PurePath(filename).suffix.lower())
        if reader is None:
            raise _fault("E_FORMAT", "unknown kind of file")
        for field, text, line in reader(_decode(data)):
            if bool(field) == bool(side):
                raise _fault("E_SIDES", f"holds {'both sides' if side else 'one side only'}")
            rows.append(_Row(field or side, text.strip(), line))
            counts[field] += 1
            _check_row(rows[-1], counts[field])
    except UserError as error:
        where = f"{filename}, {error.where}" if error.where else filename
        raise _fault(error.code, error.what, where) from error
    return rows


def _decode(data: bytes) -> str:
    """Turns bytes into text, or says why they are none: by their content, not by the suffix."""
    if len(data) > MAX_BYTES:
        raise _fault("E_TOO_LARGE", f"larger than {MAX_BYTES:,} bytes")
    encoding = "utf-16" if data.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8"
    if encoding == "utf-8" and 0 in data:  # as in every picture, program and archive
        raise _fault("E_BINARY", f"looks binary (NUL at byte {data.index(0)})")
    try:
        return data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line = len(_lines(data[: error.start].decode(encoding, "ignore") + "|"))
        what = f"not {encoding.upper()} at byte {error.start} ({error.reason})"
        raise _fault("E_ENCODING", what, line) from error


def _check_row(row: _Row, number: int) -> None:
    if number > MAX_PROMPTS:
        raise _fault("E_TOO_MANY", f"more than {MAX_PROMPTS:,} prompts on a side", row.line)
    if len(row.text) > MAX_CHARACTERS:
        what = f"{len(row.text):,} characters found, at most {MAX_CHARACTERS:,} allowed"
        raise _fault("E_TOO_LONG", what, row.line)
    if unfit := re.search("[\0\ud800-\udfff]", row.text):
        raise _fault("E_ENCODING", f"{unfit[0]!r} is no character of a text", row.line)


def _lines(text: str) -> list[str]:
    return io.StringIO(text, newline=None).readlines()  # CRLF and CR become LF


def _read_txt(text: str) -> Iterator[_Row]:
    return (_Row("", prompt, line) for line, prompt in enumerate(_lines(text), 1))


def _read_csv(text: str) -> Iterator[_Row]:
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
                what = f"{_plural(len(cells), 'cell')} found, {len(names)} expected"
                raise _fault("E_CSV", what, line)
            if cells:
                yield from _split(dict(zip(names, cells, strict=True)), "E_CSV", line)
            line = table.line_num + 1  # a quoted cell may span several lines
    except csv.Error as error:
        raise _fault("E_CSV", f"not valid CSV ({error})", line) from error


def _read_jsonl(text: str) -> Iterator[_Row]:
    for line, content in enumerate(_lines(text), 1):
        if content.strip():
            record = _decode_json(content, line)
            record = (("text", record),) if isinstance(record, str) else record
            _check_kind(record, tuple, line)
            _check_names([name for name, _ in record], "E_JSON", line)
            for _, value in record:
                _check_kind(value, str, line)
            yield from _split(dict(record), "E_JSON", line)


def _check_names(names: list[str], code: str, line: int) -> None:
    if sorted(names) not in _LAYOUTS:
        expected = "source and target, text and label, or text expected"
        raise _fault(code, f"{', '.join(names)[:80] or 'nothing'} found; {expected}", line)


def _split(record: dict[str, str], code: str, line: int) -> Iterator[_Row]:
    """Yields the texts of one csv or jsonl record, whose names fit a layout."""
    if "label" not in record:
        yield from (
            _Row("" if name == "text" else name, text, line) for name, text in record.items()
        )
        return
    label = record["label"].strip()
    if label not in ("source", "target"):
        raise _fault(code, f"label {label[:40]!r} found; source or target expected", line)
    yield _Row(label, record["text"], line)


def _read_json(text: str) -> Iterator[_Row]:
    text = "".join(_lines(text))
    document, lines = _decode_json(text), _json_lines(text)
    if isinstance(document, list):
        yield from _json_rows("", document, lines)
        return
    _check_kind(document, tuple, next(lines))
    seen = set()
    for field, value in document:
        line = next(lines)
        if field in seen or field not in (*_LISTS, *_TEXTS):
            what = f"key {field[:40]!r} is {'repeated' if field in seen else 'unknown'}"
            raise _fault("E_JSON", what, line)
        seen.add(field)
        yield from _json_rows(field, value, lines)


def _json_rows(field: str, value: Any, lines: Iterator[int]) -> Iterator[_Row]:
    line = next(lines)
    _check_kind(value, str if field in _TEXTS else list, line)
    # In this order, zip asks for no line beyond the last item.
    for item, place in [(value, line)] if field in _TEXTS else zip(value, lines, strict=False):
        _check_kind(item, str, place)
        yield _Row(field, item, place)


def _json_lines(text: str) -> Iterator[int]:
    """Yields the line of every key and value of a valid JSON text, in the order of the text."""
    line, position = 1, 0
    for token in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[^\s\[\]{},:"]+', text):
        line += text.count("\n", position, token.start())
        position = token.start()
        yield line


def _decode_json(text: str, line: int = 1) -> Any:
    """Returns the document; an object becomes a tuple of pairs, so that a repeated key shows."""
    try:
        return json.loads(text, object_pairs_hook=tuple, parse_int=float)
    except json.JSONDecodeError as error:
        what = f"not valid JSON ({error.msg})"
        raise _fault("E_JSON", what, line + error.lineno - 1) from error
    except RecursionError as error:
        raise _fault("E_JSON", "nested too deep", line) from error


def _check_kind(value: object, expected: type, line: int) -> None:
    if not isinstance(value, expected):
        raise _fault("E_JSON", f"{_KINDS[expected]} expected", line)


_READERS: dict[str, Callable[[str], Iterator[_Row]]] = {
    ".txt": _read_txt,
    ".csv": _read_csv,
    ".json": _read_json,
    ".jsonl": _read_jsonl,
}


def _tidy(rows: list[_Row], label: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Drops blanks and duplicates: the texts kept, and a sentence for each kind dropped."""
    lines: dict[str, list[int]] = {}
    for row in rows:
        lines.setdefault(row.text, []).append(row.line)
    blanks = lines.pop("", [])
    duplicates = sorted(line for repeats in lines.values() for line in repeats[1:])
    notes = []
    for kind, dropped in (("blank", blanks), ("duplicate", duplicates)):
        if dropped:
            first = ", ".join(map(str, dropped[:5])) + ", ..." * (len(dropped) > 5)
            notes.append(f"{label}: {_plural(len(dropped), kind)} dropped (line {first})")
    return tuple(lines), tuple(notes)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _check_count(count: int, least: int, most: int) -> None:
    if not least <= count <= most:
        what = f"{_plural(count, 'prompt')} a side asked for, {least} to {most} possible"
        raise _fault("E_COUNT", what)


def _fault(code: str, what: str, where: int | str = "") -> UserError:
    """Makes the error of this code; `where` is a name, or the number of a line."""
    place = f"line {where}" if isinstance(where, int) else where
    return UserError(code, what, where=place, remedy=_REMEDIES[code])
