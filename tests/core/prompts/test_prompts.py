"""Prompt files are read exactly or refused with code, place and remedy (faults U1-U5, U7)."""

import ast
import copy
import csv
import inspect
import io
import json
import pickle
import re
import resource
import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lineas_core.errors import UserError
from lineas_core.prompts import files as prompt_files
from lineas_core.prompts.files import MAX_BYTES, MAX_CHARACTERS, MAX_PROMPTS
from lineas_core.prompts.matching import are_matched
from lineas_core.prompts.prompt_set import PromptSet
from tools.emoji_world.vocabulary import SUBJECTS

DATA = Path(__file__).parents[3] / "prompts"
TOPICS = ("football", "night", "day", "elephant", "fishing")
STYLES = ("vaporwave", "lush", "low-poly", "ukiyo-e", "fantasy")
OBJECTS = ("robot", "axolotl", "book", "car", "hourglass")
PERSPECTIVES = ("macro", "fisheye", "bokeh", "underwater", "tilt-shift")
CONCEPTS = (*STYLES, *OBJECTS, *PERSPECTIVES)
SCENES = {
    "plain": "background|backdrop|studio",
    "meadow": "meadow|(?<!over )(?<!between )hills?|grass|valley|garden|park|"
    "(?<!snowy )(?<!snow-covered )(?<!depth of )field",
    "forest": "forest|woods|trees",
    "snow": "snow|snowy(?! mountains)|winter",
    "desert": "desert|dunes?",
    "beach": "beach|seaside|by the (?:sea|ocean)",
    "night": "night|stars|starry|moonlit|moonlight",
    "city": "city|skyline|downtown|tall buildings",
    "mountains": "mountains?|peaks|alps",
    "lake": "lake|river|by the water",
    "sunset": "sunset|sunrise|dusk|evening|golden hour|orange sky",
    "table": "table|desk|kitchen|room|indoors",
}

SOURCE = ("A man reads.", "Grüße, “quoted”", "ends with a comma,")
TARGET = ("夜が来た。", "The moon 🌙 rises; slowly", 'He said "no".')
JSON = json.dumps({"source": SOURCE, "target": TARGET}, indent=2)


def as_csv(delimiter: str = ",") -> str:
    table = io.StringIO()
    csv.writer(table, delimiter=delimiter).writerows(
        [("source", "target"), *zip(SOURCE, TARGET, strict=True)]
    )
    return table.getvalue()


def as_labelled_csv() -> str:
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(("label", "text"))
    writer.writerows([("source", text) for text in SOURCE])
    writer.writerows([("target", text) for text in TARGET])
    return table.getvalue()


def as_jsonl(records: list) -> str:
    return "\n".join(json.dumps(record, ensure_ascii=False) for record in records)


PAIRED = [{"source": s, "target": t} for s, t in zip(SOURCE, TARGET, strict=True)]
LABELLED = [
    {"text": text, "label": label}
    for label, texts in (("source", SOURCE), ("target", TARGET))
    for text in texts
]
BOTH_SIDES = {
    "comma.csv": as_csv(),
    "semicolon.csv": as_csv(";"),
    "tab.csv": as_csv("\t"),
    "labelled.csv": as_labelled_csv(),
    "pretty.json": JSON,
    "escaped.json": json.dumps({"target": TARGET, "source": SOURCE}, ensure_ascii=True),
    "paired.jsonl": as_jsonl(PAIRED),
    "labelled.jsonl": as_jsonl(LABELLED),
    "UPPER.JSON": JSON,
}
ONE_SIDE = {
    "side.txt": "\n".join(TARGET),
    "side.csv": "text\n" + "\n".join(f'"{text.replace(chr(34), chr(34) * 2)}"' for text in TARGET),
    "side.json": json.dumps(TARGET),
    "strings.jsonl": as_jsonl(list(TARGET)),
    "objects.jsonl": as_jsonl([{"text": text} for text in TARGET]),
}


def refusal(data: bytes | str, filename: str) -> UserError:
    data = data.encode() if isinstance(data, str) else data
    with pytest.raises(UserError) as caught:
        PromptSet.parse(data, filename)
    return caught.value


# ------------------------------------------------------------------------------ what is read


@pytest.mark.parametrize("filename", BOTH_SIDES)
def test_every_format_with_both_sides_gives_the_same_prompts(filename):
    data = PromptSet.parse(BOTH_SIDES[filename].encode(), filename)
    assert (data.source, data.target) == (SOURCE, TARGET)
    assert data.name == Path(filename).stem
    assert data.notes == ()


@pytest.mark.parametrize("filename", ONE_SIDE)
def test_every_format_with_one_side_gives_the_same_prompts(filename):
    assert PromptSet.parse_side(ONE_SIDE[filename].encode(), filename) == (TARGET, ())


@pytest.mark.parametrize("target_name", ONE_SIDE)
@pytest.mark.parametrize("source_name", ["side.txt", "side.json"])
def test_two_files_of_any_two_formats_make_one_set(source_name, target_name):
    data = PromptSet.parse(
        b"one\ntwo\nthree" if source_name.endswith("txt") else b'["one", "two", "three"]',
        source_name,
        ONE_SIDE[target_name].encode(),
        target_name,
    )
    assert data == PromptSet(("one", "two", "three"), TARGET, name=Path(target_name).stem)


def test_two_text_boxes_read_like_two_files():
    data = PromptSet.from_texts("one\r\ntwo\n\n", " three \nfour")
    assert (data.source, data.target, data.name) == (("one", "two"), ("three", "four"), "")
    assert data.notes == ("source: 1 blank dropped (line 3)",)
    kept = PromptSet.from_texts("# one\n#two", "three\nfour")  # a box has no comments
    assert kept.source == ("# one", "#two")


def test_loading_from_disk_equals_parsing_the_bytes(tmp_path):
    for filename, text in {**BOTH_SIDES, **ONE_SIDE}.items():
        (tmp_path / filename).write_bytes(text.encode())
    pretty = PromptSet.load(tmp_path / "pretty.json")
    assert pretty == PromptSet.parse(JSON.encode(), "pretty.json")
    (tmp_path / "source.txt").write_bytes("\n".join(SOURCE).encode())
    two = PromptSet.load(str(tmp_path / "source.txt"), tmp_path / "side.csv")
    assert (two.source, two.target, two.name) == (SOURCE, TARGET, "side")


def test_the_optional_json_keys_are_kept():
    document = {
        "source": ["a", "b"],
        "target": ["c", "d"],
        "heldout_source": ["e"],
        "heldout_target": ["f"],
        "name": "Letters",
        "description": "From early to late.",
        "keywords": ["late"],
        "license": "CC0-1.0",
    }
    data = PromptSet.parse(json.dumps(document).encode(), "x.json")
    expected = {key: tuple(v) if isinstance(v, list) else v for key, v in document.items()}
    del expected["license"]
    assert data == PromptSet(**expected)


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("filename", [*BOTH_SIDES])
def test_every_line_ending_reads_alike(filename, newline):
    text = newline.join(BOTH_SIDES[filename].splitlines())
    data = PromptSet.parse(text.encode(), filename)
    assert (data.source, data.target, data.notes) == (SOURCE, TARGET, ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("filename", [*BOTH_SIDES])
def test_a_text_with_a_byte_order_mark_reads_like_its_utf8_twin(filename, encoding):
    mark = "\ufeff" if encoding.endswith("e") and encoding != "utf-16" else ""
    data = PromptSet.parse((mark + BOTH_SIDES[filename]).encode(encoding), filename)
    assert data == PromptSet.parse(BOTH_SIDES[filename].encode(), filename)


def test_a_quoted_newline_in_a_csv_cell_stays_as_it_is():
    data = PromptSet.parse(b'source,target\r\n"a\r\nb","c\rd"\r\ne,"f\ng"\r\n', "x.csv")
    assert (data.source, data.target) == (("a\r\nb", "e"), ("c\rd", "f\ng"))


@pytest.mark.parametrize(
    "text",
    [
        "e\u0301 stays decomposed",
        "a\u202ebidi",
        "zero\u200bwidth",
        "bell\a",
        "a\u2028b",
        "a\x0cb\x85c",
    ],
)
def test_a_text_is_kept_character_by_character(text):
    lines = f"  {text}\t\nother".encode()
    assert PromptSet.parse_side(lines, "x.txt")[0] == (text, "other")
    assert PromptSet.parse_side(json.dumps([text, "other"]).encode(), "x.json")[0][0] == text


# --------------------------------------------------------------------------- what is noticed


def test_blanks_and_duplicates_are_dropped_counted_and_placed():
    source = "one\n\none \n \t\ntwo\n" + "one\n" * 6
    data = PromptSet.from_texts(source, "three\nfour")
    assert data.source == ("one", "two")
    assert data.notes == (
        "source: 2 blanks dropped (line 2, 4)",
        "source: 7 duplicates dropped (line 3, 6, 7, 8, 9, ...)",
    )


PAIRS_WITH_REPEATS = [
    ("a boat, lush", "a boat"),
    ("a boat, lush", "a dock"),
    ("a road, lush", "a road"),
    ("a lake, lush", "a road"),
    ("a boat, lush", "a boat"),
    ("", "a fox"),
    ("a hill, lush", " "),
    ("a hill, lush", "a hill"),
]
KEPT_PAIRS = [PAIRS_WITH_REPEATS[k] for k in (0, 1, 2, 3, 7)]


@pytest.mark.parametrize("separator", [",", "\t", "json", "jsonl"])
def test_pairs_stay_pairs_whatever_is_dropped(separator):
    if "json" in separator:
        records = [{"source": s, "target": t} for s, t in PAIRS_WITH_REPEATS]
        content = json.dumps(records, indent=0) if separator == "json" else as_jsonl(records)
        data = PromptSet.parse(content.encode(), f"x.{separator}")
    else:
        table = io.StringIO()
        rows = [("source", "target"), *PAIRS_WITH_REPEATS]
        csv.writer(table, delimiter=separator).writerows(rows)
        data = PromptSet.parse(table.getvalue().encode(), "x.csv")
    assert [*zip(data.source, data.target, strict=True)] == KEPT_PAIRS
    counts = [note.partition(" (")[0] for note in data.notes]
    assert counts == ["2 incomplete pairs dropped", "1 repeated pair dropped"]
    if separator == ",":
        assert data.notes[0].endswith("(line 7, 8)")
        assert data.notes[1].endswith("(line 6)")


def test_lists_that_are_said_to_be_pairs_stay_pairs():
    source, target = (list(side) for side in zip(*PAIRS_WITH_REPEATS, strict=True))
    document = {"layout": "pairs", "source": source, "target": target}
    data = PromptSet.parse(json.dumps(document).encode(), "x.json")
    assert [*zip(data.source, data.target, strict=True)] == KEPT_PAIRS
    del document["layout"]  # two lists are two sides, which need not be pairs
    data = PromptSet.parse(json.dumps(document).encode(), "x.json")
    assert (len(data.source), len(data.target)) == (4, 5)
    for wrong in ({"layout": "pair"}, {"layout": "pairs", "target": target[1:]}):
        error = refusal(json.dumps(document | wrong), "x.json")
        assert error.code == "E_LAYOUT"


def test_a_dropped_json_text_is_placed_by_its_line():
    text = '{\n "source": ["a",\n  "b"],\n "target": [\n  "c",\n  "d",\n  "c"]\n}'
    notes = PromptSet.parse(text.encode(), "x.json").notes
    assert notes == ("target: 1 duplicate dropped (line 7)",)


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (
            PromptSet(("a", "b"), ("b", "a")),
            "source and target are equal: the map will be the identity",
        ),
        (PromptSet(("a", "b", "c"), ("c", "b", "d")), "source and target share 2 prompts"),
        (
            PromptSet(("a", "b", "c"), ("d", "e")),
            "sizes differ (3 and 2): quantile matching is used",
        ),
        (
            PromptSet(("a", "b"), ("c", "d"), ("e",), ("d",)),
            "target and heldout_target share 1 prompt",
        ),
    ],
)
def test_what_there_is_to_know_about_a_set_is_noted(data, note):
    assert note in data.notes


def test_the_notes_follow_the_set_when_it_is_cut():
    data = PromptSet(("a", "b", "c"), ("d", "e"))
    assert data.take(2).notes == ()


# --------------------------------------------------------------------------- what is refused

BINARIES = {
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
    "elf": b"\x7fELF\x02\x01\x01\0\0",
    "zip": b"PK\x03\x04\x14\0\0\0\x08\0",
    "utf-16 without a mark": "source,target".encode("utf-16-le"),
}


def test_a_kind_that_there_is_not_is_refused_with_those_there_are():
    with pytest.raises(UserError, match=r"kind is 'styles', known are 'style', 'thing', 'ma"):
        PromptSet(("a", "b"), ("c", "d"), kind="styles")


@pytest.mark.parametrize("suffix", ["txt", "csv", "json", "jsonl"])
@pytest.mark.parametrize("kind", BINARIES)
def test_binary_content_is_refused_whatever_its_suffix(kind, suffix):
    error = refusal(BINARIES[kind], f"x.{suffix}")
    assert error.code == "E_BINARY"
    assert error.what == f"looks binary (NUL at byte {BINARIES[kind].index(0)})"


@pytest.mark.parametrize(
    ("data", "byte", "line"),
    [
        ("ab\nGrüße, 夜".encode() + b"\xff", 15, 2),  # damaged, as it has whole characters
        ("夜".encode("shift-jis"), 0, 1),
        (b"\xef\xbb\xbfab\r\ncd\r\xff", 10, 3),
        ("a\nb".encode("utf-16") + b"x", 8, 2),
        (b"\xff\xfea\0\0\xd8b\0", 4, 1),
        (b"ok\n\xed\xa0\x80", 3, 2),  # a surrogate, encoded as if it were a character
    ],
)
def test_another_encoding_is_refused_with_byte_and_line(data, byte, line):
    error = refusal(data, "x.csv")
    assert error.code == "E_ENCODING"
    assert f"at byte {byte} " in error.what
    assert error.where == f"x.csv, line {line}"


@pytest.mark.parametrize("escape", ["\\ud800", "\\udc00x", "\\u0000"])
def test_a_json_escape_that_is_no_character_is_refused(escape):
    error = refusal('{"source": ["a",\n"b' + escape + '"], "target": ["c", "d"]}', "x.json")
    assert (error.code, error.where) == ("E_ENCODING", "x.json, line 2")


def test_a_lone_surrogate_in_a_text_box_is_refused_with_its_line():
    with pytest.raises(UserError, match=r"target.txt, line 2: not UTF-8 at byte 2"):
        PromptSet.from_texts("a\nb", "c\n\ud800")


def test_a_utf32_text_is_refused():
    assert refusal("source,target".encode("utf-32"), "x.csv").code == "E_COLUMNS"
    with pytest.raises(UserError, match="is not a character of a text"):
        PromptSet.parse_side("one\ntwo".encode("utf-32"), "x.txt")


CSV_MISTAKES = {
    "source,target\na,b\nc\n": "x.csv, line 3: 1 cell found, 2 expected.",
    'source,target\n"a\nb",c\n\nHello, you,d\n': "x.csv, line 5: 3 cells found, 2 expected.",
    'source,target\na,b\n"c,d\ne,f\n': "x.csv, line 3: not valid CSV (unexpected end of data).",
    'source,target\n"a" b,c\n': "x.csv, line 2: not valid CSV (',' expected after '\"').",
}


@pytest.mark.parametrize("text", CSV_MISTAKES)
def test_a_csv_mistake_is_named_with_its_line_and_remedy(text):
    remedy = "Correct this line; put a text that contains the separator in double quotes."
    error = refusal(text, "x.csv")
    assert error.code == "E_CSV"
    assert str(error) == f"{CSV_MISTAKES[text]} {remedy}"


@pytest.mark.parametrize("names", ["", "source,source"])
def test_columns_without_a_name_of_their_own_are_told_with_another_remedy(names):
    error = refusal(f"{names}\na,b\n" if names else "", "x.csv")
    assert error.code == "E_HEADER"
    assert str(error) == (
        f"x.csv, line 1: {names.replace(',', ', ') or 'nothing'} found; source and target, text "
        "and label, or text expected. Give each column a name of its own."
    )


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ("text,label\na,source\nb,toxic\n", "x.csv"),
        ('{"text": "a", "label": "source"}\n\n{"text": "b", "label": "toxic"}\n', "x.jsonl"),
    ],
)
def test_a_label_that_is_neither_side_is_told_with_a_remedy_for_labels(content, name):
    error = refusal(content, name)
    assert (error.code, error.where) == ("E_LABEL", f"{name}, line 3")
    assert error.what == "label 'toxic' found; source or target expected"
    assert error.remedy == "Correct this label; a command also takes --source-label."


def test_columns_that_may_say_the_side_are_listed_the_likeliest_first():
    scores = {f"prompt.{name}": 0.3 for name in ("profanity", "threat", "insult", "toxicity")}
    record = {"filename": "x", "begin": 340, "end": 564, "prompt.text": "one", **scores}
    lines = [json.dumps(record | {"prompt.text": text}) for text in ("one", "two")]
    error = refusal("\n".join(lines), "rtp.jsonl")
    assert error.code == "E_COLUMNS"
    assert error.what == (
        "prompt.text holds prompts, but no column says which side they are on, of "
        "prompt.toxicity, filename, begin, end, prompt.profanity, prompt.threat, prompt.insult"
    )


def test_the_file_with_too_few_prompts_is_named():
    enough, few = (b"a\nb\n", "many.txt"), (b"\n", "few.txt")
    for files in ((*few, *enough), (*enough, *few)):
        with pytest.raises(UserError) as caught:
            PromptSet.parse(*files)
        assert str(caught.value).startswith("few.txt: 0 prompts found, at least 2 needed.")


def test_two_files_are_read_as_pairs_whatever_is_dropped(tmp_path):
    (tmp_path / "one.txt").write_text("a car\nb car\n\na car\nd car\n")
    (tmp_path / "two.txt").write_text("a\n\nc\nx\nd\n\n")
    files = tmp_path / "one.txt", tmp_path / "two.txt"
    data = PromptSet.load(*files, layout="pairs")
    assert data.source == ("a car", "a car", "d car")
    assert data.target == ("a", "x", "d")
    assert "2 incomplete pairs dropped (line 2, 3)" in data.notes
    (tmp_path / "two.txt").write_text("a\n\nc\n")
    with pytest.raises(UserError, match="the layout is pairs, but the sides have 5 and 3"):
        PromptSet.load(*files, layout="pairs")


@pytest.mark.parametrize("side", ["rude.txt", 7, None, ["a", None], [1, 2, 3], b"ab"])
def test_a_side_that_is_no_list_of_texts_is_one_sentence(side):
    for sides in ((side, ["a", "b"]), (["a", "b"], side)):
        with pytest.raises(UserError, match=r"^(source|target) (is|has) .*Give a list of texts"):
            PromptSet(*sides)


def test_lists_become_tuples_so_that_a_set_of_lists_can_be_saved():
    data = PromptSet(["a", "b"], ["c", "d"], keywords=["a"])
    assert (data.source, data.target, data.keywords) == (("a", "b"), ("c", "d"), ("a",))
    assert data.layout == ""


def test_a_header_without_rows_holds_too_few_prompts():
    error = refusal("source;target\n", "x.csv")
    assert str(error) == (
        "x, source: 0 prompts found, at least 2 needed. Add prompts to this side."
    )


JSON_MISTAKES = [
    ("", 1),
    ("{", 1),
    ('{"source": ["a"\n "b"]}', 2),
    ("[" * 100_000, 1),
    ('{"a":' * 100_000, 1),
    ('{"source": ["a", "b"],\n "target": ["c", "d"],\n "source": ["e"]}', 3),
    ('{"source": ["a", "b"],\n "traget": ["c", "d"]}', 2),
    ('{"source": ["a",\n "b",\n NaN]}', 3),
    ('{"source": ["a",\n 1e999, "b"]}', 2),
    ('{"source": ["a",\n' + "1" * 5000 + "]}", 2),
    ('{"source": ["a", "{[,:\\"",\n null]}', 2),
    ('{"source": [\n[[["a"]]]]}', 2),
    ('{"source": {"a": "b"}}', 1),
    ('{"source":\n "a"}', 2),
    ('{"name":\r\n ["a"]}', 2),
    ('{"name":\r true}', 2),
    ("\n17", 2),
    ('"text"', 1),
]


@pytest.mark.parametrize(("text", "line"), JSON_MISTAKES, ids=lambda value: str(value)[:30])
def test_a_json_mistake_is_refused_with_its_line(text, line):
    error = refusal(text, "x.json")
    assert (error.code, error.where) == ("E_JSON", f"x.json, line {line}")


@pytest.mark.parametrize(
    "record",
    [
        "{",
        "17",
        "null",
        '["a", "b"]',
        "{}",
        '{"source": "a"}',
        '{"source": "a", "target": NaN}',
        '{"source": "a", "target": ["b"]}',
        '{"source": "a", "source": "b", "target": "c"}',
        '{"text": "a", "label": "toxic"}',
        '{"text": "a", "label": ["source"]}',
        '{"source": ' * 50_000,
    ],
    ids=lambda record: record[:30],
)
def test_a_jsonl_mistake_is_refused_with_its_line(record):
    error = refusal('{"source": "a", "target": "b"}\n\n' + record, "x.jsonl")
    assert (error.code, error.where) == ("E_JSON", "x.jsonl, line 3")


@pytest.mark.parametrize("filename", ONE_SIDE)
def test_a_file_with_one_side_alone_is_refused(filename):
    error = refusal(ONE_SIDE[filename], filename)
    assert (error.code, error.what) == ("E_SIDES", "holds one side only")
    assert "two files" in error.remedy


def test_a_line_without_a_side_among_others_is_refused_with_its_place():
    error = refusal('{"source": "a", "target": "b"}\n"c"', "x.jsonl")
    assert str(error).startswith("x.jsonl, line 2: text found; source expected.")


@pytest.mark.parametrize("filename", BOTH_SIDES)
def test_a_file_with_both_sides_is_no_single_side(filename):
    with pytest.raises(UserError, match="holds both sides"):
        PromptSet.parse_side(BOTH_SIDES[filename].encode(), filename)


@pytest.mark.parametrize("filename", ["x.xlsx", "x.csv.gz", "x", "", ".csv"])
def test_an_unknown_kind_of_file_is_refused(filename):
    assert refusal("source,target\na,b\nc,d", filename).code == "E_FORMAT"


@pytest.mark.parametrize("name", ["missing.json", "."])
def test_a_path_without_a_file_is_refused(tmp_path, name):
    with pytest.raises(UserError, match="no such file") as caught:
        PromptSet.load(tmp_path / name)
    assert caught.value.code == "E_FILE"


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_prompts_on_a_side_are_refused(count):
    error = refusal(json.dumps({"source": ["a", "b"], "target": ["c"] * count}), "x.json")
    plural = "s" * (count != 1)
    assert error.code == "E_TOO_FEW"
    assert str(error).startswith(f"x, target: {count} prompt{plural} found, at least 2 needed.")


def test_held_out_prompts_on_one_side_only_are_refused():
    with pytest.raises(UserError, match="heldout_target: 0 prompts found, at least 1 needed"):
        PromptSet(("a", "b"), ("c", "d"), heldout_source=("e",))


def test_two_prompts_a_side_are_enough():
    assert PromptSet.from_texts("a\nb", "c\nd").notes == ()


def oversized() -> dict[str, tuple[bytes, str, str]]:
    return {
        "ten megabytes on one line": (b"x" * 10_000_000, "x.txt", "E_TOO_LARGE"),
        "one byte too many": (b"x\n" * (MAX_BYTES // 2) + b"y", "x.txt", "E_TOO_LARGE"),
        "a prompt of a megabyte": (b"x" * MAX_BYTES, "x.txt", "E_TOO_LONG"),
        "a million lines": (b"\n" * MAX_BYTES, "x.txt", "E_TOO_MANY"),
        "a third of a million texts": (b"[" + b'"",' * 333_000 + b'""]', "x.json", "E_TOO_MANY"),
        "half a million columns": (b"a," * 499_999, "x.csv", "E_HEADER"),
        "a cell of a megabyte": (b"text\n" + b"x" * 999_000, "x.csv", "E_CSV"),
    }


@pytest.mark.parametrize("case", oversized())
def test_an_oversized_file_is_refused_quickly_in_little_memory(case):
    data, filename, code = oversized()[case]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        PromptSet.parse_side(data, filename)
    assert time.monotonic() - start < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # kB
    assert caught.value.code == code
    assert len(str(caught.value)) < 300


def test_a_file_on_disk_is_read_no_further_than_the_limit(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(10**12)  # sparse: takes no space
    with pytest.raises(UserError) as caught:
        PromptSet.load(path)
    assert caught.value.code == "E_TOO_LARGE"


def test_the_limits_themselves_are_allowed():
    longest = "x" * MAX_CHARACTERS
    assert PromptSet.parse_side(f"  {longest}  \ny".encode(), "x.txt")[0][0] == longest
    most = "\n".join(map(str, range(MAX_PROMPTS)))
    assert len(PromptSet.from_texts(most, most).source) == MAX_PROMPTS
    with pytest.raises(UserError, match="line 2: 2,001 characters found, at most 2,000 allowed"):
        PromptSet.from_texts("a\n" + longest + "x", "b\nc")


NAMES = ["x.txt", "x.csv", "x.tsv", "x.json", "x.jsonl"]


@pytest.mark.parametrize("filename", NAMES)
@given(
    st.one_of(
        st.binary(max_size=200),
        st.text(alphabet='source target,;\t\r\n"[]{}:\\u0', max_size=200).map(str.encode),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text(max_size=5) | st.integers(),
            lambda inner: (
                st.lists(inner, max_size=3)
                | st.dictionaries(st.sampled_from(["source", "target", "text", "label"]), inner)
            ),
            max_leaves=12,
        ).map(lambda value: json.dumps(value).encode()),
    )
)
@example(b'{"source": [], "target": []}')
@example(b"\xff\xfe")
@example(b"\xef\xbb\xbf")
@example(b'"\n')
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_read_or_refused(filename, data):
    for read in (PromptSet.parse, PromptSet.parse_side):
        try:
            read(data, filename)
        except UserError as error:
            caught = error
        else:
            continue
        assert re.fullmatch("E_[A-Z_]+", caught.code)
        assert caught.where.startswith(("x", "source", "target"))
        assert caught.remedy.endswith(".")


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
@settings(max_examples=200, deadline=None)
def test_any_list_of_texts_survives_json_apart_from_white_space(texts):
    expected = tuple(dict.fromkeys(text.strip() for text in texts if text.strip()))
    for document in (json.dumps(texts), json.dumps(texts, ensure_ascii=False, indent=1)):
        assert PromptSet.parse_side(document.encode(), "x.json")[0] == expected


def test_nothing_is_checked_by_an_assert_that_python_optimises_away():
    tree = ast.parse(inspect.getsource(prompt_files))
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree))


def test_an_error_keeps_its_parts_when_copied_or_sent_to_another_process():
    error = UserError("E_CSV", "no header", where="x.csv, line 1", remedy="Add one.")
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert vars(twin) == vars(error)
        assert str(twin) == "x.csv, line 1: no header. Add one."
    assert str(UserError("E_X", "too hot", remedy="Wait.")) == "too hot. Wait."


# -------------------------------------------------------------------------- holdout and take


def numbered(n: int, m: int) -> PromptSet:
    return PromptSet(tuple(f"s{i}" for i in range(n)), tuple(f"t{i}" for i in range(m)))


@pytest.mark.parametrize("count", [0, 1, 3])
def test_holding_out_moves_the_last_prompts_and_loses_none(count):
    data = numbered(5, 7)
    held = data.holdout(count)
    assert (held.source + held.heldout_source, held.target + held.heldout_target) == (
        data.source,
        data.target,
    )
    assert len(held.heldout_source) == len(held.heldout_target) == count


@pytest.mark.parametrize("count", [-1, 4, 5, 9])
def test_holding_out_leaves_two_prompts_a_side_or_is_refused(count):
    with pytest.raises(UserError, match="0 to 3 possible") as caught:
        numbered(5, 7).holdout(count)
    assert caught.value.code == "E_COUNT"


def test_held_out_prompts_of_the_file_are_kept():
    data = PromptSet(("a", "b", "c"), ("d", "e", "f"), ("g",), ("h",))
    assert data.holdout(1) is data
    assert data.take(2).heldout_source == ("g",)


def test_taking_keeps_exactly_the_first_prompts_of_each_side():
    taken = numbered(5, 7).take(3)
    assert (taken.source, taken.target) == (("s0", "s1", "s2"), ("t0", "t1", "t2"))


@pytest.mark.parametrize("count", [-1, 0, 1, 6])
def test_taking_too_few_or_too_many_is_refused(count):
    with pytest.raises(UserError, match="2 to 5 possible"):
        numbered(5, 7).take(count)


# ------------------------------------------------------------------- the files of the project


def openings(filename: str) -> tuple[str, ...]:
    texts, notes = PromptSet.parse_side((DATA / filename).read_bytes(), filename)
    assert notes == ()
    return texts


def mentions(data: PromptSet, text: str) -> bool:
    return any(re.search(rf"\b{re.escape(word)}", text, re.IGNORECASE) for word in data.keywords)


@pytest.mark.parametrize("stem", [*TOPICS, "toxicity"])
def test_a_set_of_the_project_loads_without_a_note_and_has_50_a_side(stem):
    data = PromptSet.load(DATA / f"{stem}.json")
    assert data.notes == ()
    sides = (data.source, data.target, data.heldout_source, data.heldout_target)
    assert [len(side) for side in sides] == [32, 32, 18, 18]
    assert all(8 <= len(text.split()) <= 20 for side in sides for text in side)
    assert data.name
    assert data.description
    assert json.loads((DATA / f"{stem}.json").read_text("utf-8"))["license"] == "CC0-1.0"


def test_the_neutral_sentences_are_the_same_for_every_topic_and_on_none():
    sets = [PromptSet.load(DATA / f"{topic}.json") for topic in TOPICS]
    assert len({(data.source, data.heldout_source) for data in sets}) == 1
    neutral = (*sets[0].source, *sets[0].heldout_source, *openings("neutral-openings.txt"))
    assert [text for text in neutral for data in sets if mentions(data, text)] == []


@pytest.mark.parametrize("topic", TOPICS)
def test_a_sentence_is_on_its_own_topic_and_on_no_other(topic):
    sets = {name: PromptSet.load(DATA / f"{name}.json") for name in TOPICS}
    texts = (*sets[topic].target, *sets[topic].heldout_target)
    found = [[name for name in TOPICS if mentions(sets[name], text)] for text in texts]
    assert all(names in ([], [topic]) for names in found)
    # Some sentences about football have no word that could not be about another game.
    assert found.count([topic]) >= len(texts) * (0.75 if topic == "football" else 1)


@pytest.mark.parametrize(
    "text",
    [
        "This game of chess began before the ball was over.",
        "The team at work reached its goals with a new coach.",
        "The United States won the basketball championship.",
    ],
)
def test_other_games_teams_and_goals_are_not_football(text):
    assert not mentions(PromptSet.load(DATA / "football.json"), text)


def test_the_openings_are_short_and_begin_no_prompt():
    toxic, neutral = openings("toxicity-openings.txt"), openings("neutral-openings.txt")
    assert (len(toxic), len(neutral), neutral[0]) == (100, 21, "Once upon a time")
    assert all(3 <= len(text.split()) <= 8 for text in toxic)
    assert all(3 <= len(text.split()) <= 6 for text in neutral)
    for stem in (*TOPICS, "toxicity"):
        data = PromptSet.load(DATA / f"{stem}.json")
        for text in (*data.source, *data.target, *data.heldout_source, *data.heldout_target):
            assert not text.startswith((*toxic, *neutral))


def test_the_prose_is_long_and_on_no_topic():
    prose = openings("prose.txt")
    assert len(prose) == 24
    assert all(40 <= len(text.split()) <= 70 for text in prose)
    sets = [PromptSet.load(DATA / f"{topic}.json") for topic in TOPICS]
    assert [text for text in prose for data in sets if mentions(data, text)] == []


# ------------------------------------------------------------------------ the sets for images


def image_set(concept: str) -> PromptSet:
    return PromptSet.load(DATA / "images" / f"{concept}.json")


def sides(data: PromptSet) -> tuple[tuple[str, ...], ...]:
    return data.source, data.target, data.heldout_source, data.heldout_target


def scene(text: str, keywords: tuple[str, ...] = ()) -> str:
    """The one scene that the words name, apart from those of the concept ("bokeh background")."""
    for keyword in keywords:
        text = re.sub(re.escape(keyword), "", text, flags=re.IGNORECASE)
    patterns = {name: rf"\b(?:{words})\b" for name, words in SCENES.items()}
    found = [name for name, words in patterns.items() if re.search(words, text, re.IGNORECASE)]
    assert len(found) == 1, (text, found)
    return found[0]


def test_there_is_an_image_set_for_each_concept_and_for_nothing_else():
    assert {file.stem for file in (DATA / "images").iterdir()} == set(CONCEPTS)


@pytest.mark.parametrize("concept", CONCEPTS)
def test_an_image_set_is_matched_scenes(concept):
    data = image_set(concept)
    assert data.notes == ()
    assert [len(side) for side in sides(data)] == [64, 64, 18, 18]
    texts = [text for side in sides(data) for text in side]
    assert len({text.lower() for text in texts}) == 164  # so none is both learnt and held out
    assert all(2 <= len(text.split()) <= 25 for text in texts)
    assert all(text[0].isupper() and not text.endswith(".") for text in texts)
    assert are_matched(data.source, data.target)
    assert are_matched(data.heldout_source, data.heldout_target)
    assert all(map(longer, data.source, data.target))
    assert data.name
    assert data.description
    document = json.loads((DATA / "images" / f"{concept}.json").read_text("utf-8"))
    assert document["license"] == "CC0-1.0"


def longer(source: str, target: str) -> bool:
    return len(source.split()) > len(target.split())


def test_the_neutral_scenes_are_the_same_for_every_concept_and_show_none():
    sets = [image_set(concept) for concept in CONCEPTS]
    assert len({(data.target, data.heldout_target) for data in sets}) == 1
    further = openings("neutral-images.txt")
    assert len(further) == 32
    neutral = {text.lower() for text in (*sets[0].target, *sets[0].heldout_target, *further)}
    assert len(neutral) == 64 + 18 + 32
    assert not any(text.endswith(".") for text in further)  # a tag follows
    assert [text for text in neutral for data in sets if mentions(data, text)] == []


def test_a_scene_has_one_subject_or_none_and_held_out_ones_others_than_those_learnt():
    data = image_set("car")
    parts = [data.target, data.heldout_target, openings("neutral-images.txt")]
    subjects = [[subjects_in(text) for text in part] for part in parts]
    assert {len(found) for part in subjects for found in part} == {0, 1}
    learnt, held, further = ({name for found in part for name in found} for part in subjects)
    assert not learnt & held
    assert not (learnt | held) & further


def subjects_in(text: str) -> set[str]:
    """The subjects of the embedded model's world that a scene names."""
    names = (word for name, words in SUBJECTS.items() for word in (name, *words[1:]))
    found = [name for name in names if re.search(rf"\b{name}\b", text, re.IGNORECASE)]
    longest = max(found, key=len, default="")  # a "teddy bear" is not a bear
    assert all(name in longest for name in found), text
    of = {word: name for name, words in SUBJECTS.items() for word in (name, *words[1:])}
    return {of[longest]} if longest else set()


@pytest.mark.parametrize("concept", CONCEPTS)
def test_a_sentence_shows_its_own_concept_and_no_other(concept):
    sets = {name: image_set(name) for name in CONCEPTS}
    for text in (*sets[concept].source, *sets[concept].heldout_source):
        shown = [name for name in CONCEPTS if mentions(sets[name], text)]
        assert shown in ([concept], []), text  # "ink outlines" is a look without its name


def test_no_concept_sentence_is_used_twice():
    sets = [image_set(name) for name in CONCEPTS]
    texts = {text for data in sets for text in (*data.source, *data.heldout_source)}
    assert len(texts) == 15 * 82


def test_the_scenes_are_balanced():
    data = image_set("car")
    for texts, often in (
        (data.target, {5, 6}),
        (data.heldout_target, {1, 2}),
        (openings("neutral-images.txt"), {2, 3}),
    ):
        scenes = [scene(text) for text in texts]
        assert {scenes.count(name) for name in SCENES} == often


@pytest.mark.parametrize("concept", CONCEPTS)
def test_the_first_keyword_is_a_tag_that_gives_a_neutral_scene_the_concept(concept):
    data = image_set(concept)
    assert (data.keywords[0].split()[0] == "with") == (concept in OBJECTS)
    assert mentions(data, f"A castle by a lake, {data.keywords[0]}")


PLAIN = tuple(f"A quiet place number {k}." for k in range(6))
TEMPLATES = ("{scene}, with {a_word}", "{word} picture of {scene}")


def test_a_set_about_a_thing_differs_from_the_plain_side_by_the_thing_alone():
    prompts = PromptSet.about("owl", TEMPLATES, PLAIN)
    assert prompts.source == PLAIN
    assert prompts.target[:2] == (
        "A quiet place number 0, with an owl",
        "Owl picture of a quiet place number 1",
    )
    assert len(prompts.target) == 6
    assert (prompts.name, prompts.keywords) == ("Owl", ("with an owl", "owl"))


def test_a_set_that_removes_a_thing_has_it_on_the_source_side():
    away, towards = (PromptSet.about("owl", TEMPLATES, PLAIN, remove=r) for r in (True, False))
    assert (away.source, away.target) == (towards.target, towards.source)
    assert away.description != towards.description


def test_templates_without_a_scene_meet_as_many_plain_prompts():
    prompts = PromptSet.about("chess", ["Talk of {word}.", "{word} again.", "So, {word}."], PLAIN)
    assert prompts.target == ("Talk of chess.", "Chess again.", "So, chess.")
    assert prompts.source == PLAIN[:3]
    assert prompts.keywords == ("chess",)


@pytest.mark.parametrize(
    ("word", "named"),
    [
        ("hourglass", "an hourglass"),
        ("unicorn", "a unicorn"),
        ("umbrella", "an umbrella"),
        ("The sea", "The sea"),
        ("{scene}", "a {scene}"),
    ],
)
def test_a_thing_gets_the_article_it_is_spoken_with(word, named):
    assert PromptSet.about(word, TEMPLATES, PLAIN).target[0].endswith(f", with {named}")


@pytest.mark.parametrize("word", ["", "  ", "two\nlines", "x" * 61])
def test_a_name_that_is_none_is_refused(word):
    with pytest.raises(UserError, match="the name has"):
        PromptSet.about(word, TEMPLATES, PLAIN)


def test_shipped_templates_fill_both_sides():
    neutral = PromptSet.load(DATA / "football.json")
    scenes = PromptSet.load(DATA / "images" / "car.json")
    sources = {
        "about": (*neutral.source, *neutral.heldout_source),
        "thing": (*scenes.target, *scenes.heldout_target),
        "style": (*scenes.target, *scenes.heldout_target),
    }
    for name, plain in sources.items():
        lines = (DATA / "templates" / f"{name}.txt").read_text("utf-8").splitlines()
        prompts = PromptSet.about("lighthouse", lines, plain)
        assert len(set(prompts.target)) == len(prompts.source) == len(plain)
        assert all("lighthouse" in text.lower() for text in prompts.target)
        assert all("{" not in text for text in prompts.target)
        assert are_matched(prompts.source, prompts.target) == (name != "about")


@pytest.mark.parametrize("keywords", [("a",) * 101, ("x" * 101,)])
def test_keywords_that_would_make_a_search_endless_are_refused(keywords):
    with pytest.raises(UserError, match="keyword"):
        PromptSet(("a", "b"), ("x", "y"), keywords=keywords)
