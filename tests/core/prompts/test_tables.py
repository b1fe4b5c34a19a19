"""Files as public data sets and tools write them: read as they are meant, or asked about."""

import json

import pytest

from lineas_core.errors import UserError
from lineas_core.prompts.prompt_set import PromptSet
from lineas_core.prompts.tables import Columns

SIDES = (("a b", "c d"), ("e f", "g h"))
LABELLED = "text,label\na b,{0}\ne f,{1}\nc d,{0}\ng h,{1}\n"
RECORDS = [{"source": s, "target": t} for s, t in zip(*SIDES, strict=True)]
FLAGS = [
    {"comment_text": text, "toxic": flag, "severe_toxic": 0, "id": f"00{text[0]}"}
    for text, flag in (("a b", 1), ("e f", 0), ("c d", 1), ("g h", 0))
]
READ = {
    "detox.tsv": "en_toxic_comment\ten_neutral_comment\na b\te f\nc d\tg h\n",
    "quotes.tsv": 'source\ttarget\n"a\te "f\n"c\tg\n',
    "records.json": json.dumps(RECORDS),
    "records.ndjson": "\n".join(map(json.dumps, RECORDS)),
    "any case.csv": "SOURCE;Target\na b;e f\nc d;g h\n",
    "sep.csv": "sep=;\r\nsource;target\r\na b;e f\r\nc d;g h\r\n",
    "sep tab.csv": '"SEP=\t"\nsource\ttarget\na b\te f\nc d\tg h\n',
    "index.csv": ",source,target\n0,a b,e f\n1,c d,g h\n",
    "read index.csv": "Unnamed: 0,source,target\n0,a b,e f\n1,c d,g h\n",
    "id.csv": "id,source,target\nx1,a b,e f\nx2,c d,g h\n",
    "blanks.csv": LABELLED.format(" source ", "\ttarget").replace("text,label", " text, label"),
    "toxic.csv": LABELLED.format("Toxic", "neutral"),
    "non-toxic.csv": LABELLED.format("toxic", "non-toxic"),
    "wide.json": json.dumps(FLAGS),
    "wide text.json": json.dumps([{**each, "toxic": str(bool(each["toxic"]))} for each in FLAGS]),
    "provenance.csv": LABELLED.format("toxic", "neutral").replace("label", "target"),
    "null label.json": json.dumps([*FLAGS, {"comment_text": "i j", "toxic": None}]),
}


def refusal(content: str, filename: str, columns: Columns = Columns()) -> UserError:  # noqa: B008
    with pytest.raises(UserError) as caught:
        PromptSet.parse(content.encode(), filename, columns=columns)
    return caught.value


@pytest.mark.parametrize("filename", READ)
def test_a_common_shape_is_read_without_a_question(filename):
    data = PromptSet.parse(READ[filename].encode(), filename)
    expected = (('"a', '"c'), ('e "f', "g")) if filename == "quotes.tsv" else SIDES
    assert (data.source, data.target) == expected


@pytest.mark.parametrize(
    ("filename", "note"),
    [
        ("detox.tsv", "source is en_toxic_comment, target is en_neutral_comment"),
        ("index.csv", "column 1 has no name and is skipped"),
        ("id.csv", "source is source, target is target; id skipped"),
        ("toxic.csv", "the prompts are in text; label toxic is the source, neutral the target"),
        (
            "wide.json",
            "the prompts are in comment_text; toxic 1 is the source, 0 the target; "
            "severe_toxic, id skipped",
        ),
    ],
)
def test_what_was_found_in_other_columns_than_usual_is_noted(filename, note):
    data = PromptSet.parse(READ[filename].encode(), filename)
    assert data.notes == (f"{filename}: {note}",)


def test_a_record_without_a_label_is_passed_over_with_a_note():
    data = PromptSet.parse(READ["null label.json"].encode(), "x.json")
    assert data.notes[-1] == "x.json: 1 record without a label skipped"


def test_quoted_newlines_of_a_comment_are_kept():
    table = 'id,comment_text,toxic\n1,"Stop\n\nit, ""now""",0\n2,a b,1\n3,c,0\n4,d,1\n'
    data = PromptSet.parse(table.encode(), "x.csv")
    assert data.target == ('Stop\n\nit, "now"', "c")


def test_the_text_of_a_nested_prompt_is_read():
    records = [{"prompt": {"text": text, "toxicity": 0.1}, "continuation": {"text": "x"}}
               for text in ("a b", "c d")]  # fmt: skip
    content = "\n".join(map(json.dumps, records)).encode()
    prompts, notes = PromptSet.parse_side(content, "x.jsonl")
    assert prompts == ("a b", "c d")
    assert notes[0].startswith("x.jsonl: the prompts are in prompt.text; prompt.toxicity, ")


def test_a_score_is_a_label_from_one_half_on():
    scores = (("a b", 0.9), ("e f", 0.1), ("c d", 0.5), ("g h", 0.49))
    records = [{"prompt": {"text": text, "toxicity": score}} for text, score in scores]
    columns = Columns(label="prompt.toxicity")
    data = PromptSet.parse(json.dumps(records).encode(), "x.json", columns=columns)
    assert (data.source, data.target) == SIDES
    assert "x.json: prompt.toxicity is a score: 0.5 or more counts as 1" in data.notes


@pytest.mark.parametrize(
    "labels", [("0", "1"), ("1.0", "0.0"), ("positive", "negative"), ("x", "y")]
)
def test_labels_that_do_not_tell_are_asked_about(labels):
    content = LABELLED.format(*labels)
    error = refusal(content, "x.csv")
    assert (error.code, error.where) == ("E_LABELS", "x.csv, column label")
    assert "not certain which one is the source" in error.what
    columns = Columns(source_label=f" {labels[0].removesuffix('.0').upper()}")
    data = PromptSet.parse(content.encode(), "x.csv", columns=columns)
    assert (data.source, data.target) == SIDES


@pytest.mark.parametrize(
    ("labels", "chosen"),
    [(("True", "False"), "true"), (("1.0", "0"), "1"), (("1", "0"), "1.0"), (("0.9", "0"), "1")],
)
def test_the_label_of_the_source_may_be_written_as_in_the_file(labels, chosen):
    columns = Columns(source_label=chosen)
    data = PromptSet.parse(LABELLED.format(*labels).encode(), "x.csv", columns=columns)
    assert (data.source, data.target) == SIDES


def test_large_numbers_are_different_labels():
    labels = {"a b": 1234567.0, "c d": 1234567.0, "e f": 1234568.0, "g h": 1234568.0}
    rows = [{"text": text, "label": label} for text, label in labels.items()]
    columns = Columns(source_label="1234567")
    data = PromptSet.parse(json.dumps(rows).encode(), "x.json", columns=columns)
    assert (data.source, data.target) == SIDES


def test_all_labels_but_the_chosen_one_are_the_target():
    content = "review,sentiment\na b,anger\ne f,joy\nc d,anger\ng h,calm\n"
    data = PromptSet.parse(content.encode(), "x.csv", columns=Columns(source_label="anger"))
    assert (data.source, data.target) == SIDES
    assert "sentiment anger is the source, joy, calm the target" in data.notes[0]


def test_a_label_that_is_named_leaves_all_others_to_the_target():
    content = LABELLED.format("source", "other").encode()
    data = PromptSet.parse(content, "x.csv", columns=Columns(source_label="source"))
    assert (data.source, data.target) == SIDES


def test_a_label_that_is_named_is_looked_for_in_labels_not_in_pairs():
    content = "source,text,target\nweb,a b,anger\nweb,e f,joy\nweb,c d,anger\nbook,g h,calm\n"
    data = PromptSet.parse(content.encode(), "x.csv", columns=Columns(source_label="anger"))
    assert (data.source, data.target) == SIDES


@pytest.mark.parametrize("header", ["Text,text,label", "text,Text,label"])
@pytest.mark.parametrize("chosen", ["Text", "text", "TEXT", ""])
def test_of_columns_that_differ_in_case_the_one_written_so_is_read(header, chosen):
    content = header + "\na b,A B,toxic\ne f,E F,ok\nc d,C D,toxic\ng h,G H,ok\n"
    data = PromptSet.parse(content.encode(), "x.csv", columns=Columns(text=chosen))
    wanted = header.split(",").index("Text" if chosen == "Text" else "text")
    assert data.source == (SIDES[0], ("A B", "C D"))[wanted]


SWALLOWED = (
    'text\tlabel\nYou fool\ttoxic\n"Well, he said\ttoxic\nNice day\tneutral\nGood"\tneutral\n'
)


@pytest.mark.parametrize("filename", ["x.tsv", "x.csv"])
def test_quotes_of_two_texts_do_not_swallow_the_records_between(filename):
    data = PromptSet.parse(SWALLOWED.encode(), filename)
    assert data.source == ("You fool", '"Well, he said')
    assert data.target == ("Nice day", 'Good"')
    assert data.notes[0] == f"{filename}: quotes are read as a part of the texts, see line 3"


def test_line_breaks_in_a_quoted_cell_between_tabs_are_kept():
    content = 'text\tlabel\n"a\n\n""b"""\ttoxic\n"c\td"\tok\ne\ttoxic\nf\tok\n'
    data = PromptSet.parse(content.encode(), "x.tsv")
    assert (data.source, data.target) == (('a\n\n"b"', "e"), ("c\td", "f"))
    assert len(data.notes) == 1  # the labels
    prompts, notes = PromptSet.parse_side(b'text\n"a\nb"\nc\n', "x.tsv")
    assert prompts == ("a\nb", "c")  # of one column, both readings are possible
    assert notes == ("x.tsv: the quoted text that starts in line 2 has several lines",)


def test_a_misspelt_label_is_refused_with_its_line():
    error = refusal(LABELLED.format("source", "traget"), "x.csv")
    assert str(error).startswith("x.csv, line 3: label 'traget' found; source or target expected.")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        ("before,after\na,b\nc,d\n", "before, after found; source and target, text and label"),
        ("source,traget\na,b\nc,d\n", "source, traget found; "),
        ("source,text\nweb,a\nweb,b\n", "text holds prompts, but no column says which side"),
        ("A cat\nA dog\nA fox\n", "A cat found; "),
        ("toxic,neutral1,neutral2\na,b,c\nd,e,f\n", "toxic, neutral1, neutral2 found; "),
        ("text,toxicity\na,yes\nb,no\n", "text holds prompts, but no column says which side"),
        ("offensive,comment\nOFF,a\nNOT,b\n", "comment holds prompts, but no column says which"),
    ],
)
def test_columns_that_do_not_tell_are_asked_about(content, what):
    error = refusal(content, "x.csv")
    assert (error.code, error.where) == ("E_COLUMNS", "x.csv, line 1")
    assert error.what.startswith(what)


def test_columns_of_pairs_can_be_named_in_any_case():
    content = b"id,before,after\n1,a b,e f\n2,c d,g h\n"
    columns = Columns(source="Before", target="AFTER")
    data = PromptSet.parse(content, "x.csv", columns=columns)
    assert (data.source, data.target) == SIDES


@pytest.mark.parametrize(
    ("columns", "what"),
    [
        (Columns(text="none"), "there is no column 'none' among text, label"),
        (Columns(source_label="2"), "there is no label '2' among 0, 1"),
        (Columns(source="text"), "text, label found; "),
    ],
)
def test_a_column_or_label_that_there_is_not_is_named(columns, what):
    assert refusal(LABELLED.format(0, 1), "x.csv", columns).what.startswith(what)


def test_a_text_without_columns_has_none_to_name():
    with pytest.raises(UserError, match="the file has no columns"):
        PromptSet.parse(b"a\nb", "x.txt", b"c\nd", "y.txt", columns=Columns(text="text"))


def test_a_table_of_both_sides_is_no_single_side_unless_its_column_is_named():
    content, other = LABELLED.format(0, 1).encode(), LABELLED.format(1, 1).encode()
    with pytest.raises(UserError, match="holds both sides"):
        PromptSet.parse_side(content, "x.csv")
    everything = ("a b", "e f", "c d", "g h")
    assert PromptSet.parse_side(other, "x.csv")[0] == everything  # all of one side
    data = PromptSet.parse(content, "x.csv", other, "y.csv", columns=Columns(text="text"))
    assert (data.source, data.target) == (everything, everything)


def test_the_styles_of_a_web_ui_are_refused_with_their_columns():
    content = '\ufeffname,prompt,negative_prompt\nphoto,"{prompt}, 35mm",blurry\nline,a,b\n'
    error = refusal(content, "styles.csv")
    assert error.code == "E_STYLES"
    assert "the columns name, prompt, negative_prompt are those of a web UI's st" in error.what
    with pytest.raises(UserError, match="web UI's styles"):
        PromptSet.parse_side(content.encode(), "styles.csv")


def test_a_text_as_excel_saves_it_is_read_with_a_note():
    content = "source;target\nGrüße aus Köln;“café”\nÄpfel – groß”;c’est bon\n"
    data = PromptSet.parse(content.encode("cp1252"), "x.csv")
    assert data.source == ("Grüße aus Köln", "Äpfel – groß”")
    assert data.target == ("“café”", "c’est bon")
    assert data.notes == (
        "x.csv: not UTF-8, read as Windows-1252; check accents and quotation marks",
    )


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r"])
def test_another_script_in_its_own_encoding_is_refused(encoding):
    content = "text\nПривет, как дела у тебя сегодня\nхорошо, спасибо\n"
    with pytest.raises(UserError, match="not UTF-8"):
        PromptSet.parse_side(content.encode(encoding), "x.csv")


def test_a_record_of_a_json_list_is_placed_by_its_line():
    content = '[\n {"source": "a", "target": ["x", {"y": 1}]},\n {"source": "c"}\n]'
    assert refusal(content, "x.json").where == "x.json, line 2"
    content = (
        '[{"source": "a",\n "target": "b"}, {"source":\n "c", "target": "d"},\n {"target": "e"}]'
    )
    assert refusal(content, "x.json").where == "x.json, line 4"
