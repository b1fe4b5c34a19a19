"""Uploaded prompts: read at once, or asked about in a panel."""

import gradio as gr
import pytest

from app.learn.form import FilledForm
from app.learn.form_handlers import FormHandlers
from app.learn.upload_handlers import LABELLED, PAIRS, ColumnsView, Upload, UploadHandlers
from app.widgets.prompts_box import read_prompts
from tests.app.fakes import MARKUP, is_skip, text_studio
from tests.app.learn.forms import start

LABELS = f"text,label\n{MARKUP},0\na b,1\nc d,0\ne f,1\n".encode()
PAIRED = b"before,after,note\na b,e f,x\nc d,g h,y\n"


@pytest.fixture
def handlers():
    return UploadHandlers()


def read(handlers, folder, name, content):
    """The form and the panel after an upload."""
    (folder / name).write_bytes(content)
    return split(handlers.read_set("tiny", "lineas", "quick", str(folder / name)))


def split(answers):
    parts = len(FilledForm._fields)
    return FilledForm(*answers[:parts]), ColumnsView(*answers[parts:])


def test_a_file_that_is_clear_fills_the_form_and_opens_no_panel(handlers, tmp_path):
    content = b"sep=;\nSOURCE;target\na b;e f\nc d;g h\n"
    form, panel = read(handlers, tmp_path, "x.csv", content)
    assert (form.source, form.target) == ("a b\nc d", "e f\ng h")
    assert panel.frame.visible is False


def test_labels_that_do_not_tell_are_asked_about_and_the_form_stays(handlers, tmp_path):
    form, panel = read(handlers, tmp_path, "x.csv", LABELS)
    assert all(map(is_skip, form))
    assert panel.frame.visible is True
    assert "Which columns of x.csv?" in panel.preview
    assert "labels in label do not say which one is the source: 0, 1." in panel.preview
    assert MARKUP not in panel.preview
    assert "c d" in panel.preview
    assert "e f" not in panel.preview  # three records are enough
    assert (panel.layout, panel.text.value, panel.label.value) == (LABELLED, "text", "label")
    assert panel.source_label.value is None
    assert [value for _, value in panel.source_label.choices] == ["0", "1"]
    assert panel.source_label.choices[1][0] == "1, such as “a b”"


def test_the_chosen_label_becomes_the_source(handlers, tmp_path):
    _, panel = read(handlers, tmp_path, "x.csv", LABELS)
    choice = (LABELLED, None, None, "text", "label", "1")
    form, closed = split(handlers.use("tiny", "lineas", "quick", panel.upload, *choice))
    assert (form.title, form.source, form.target) == ("x", "a b\ne f", f"{MARKUP}\nc d")
    assert closed.frame.visible is False
    assert closed.upload is None


def test_columns_with_other_names_are_chosen_for_each_side(handlers, tmp_path):
    _, panel = read(handlers, tmp_path, "x.csv", PAIRED)
    assert (panel.layout, panel.source.value, panel.target.value) == (PAIRS, None, None)
    assert "column names do not say which column holds what" in panel.preview
    choice = (PAIRS, "after", "before", None, None, None)
    form, _ = split(handlers.use("tiny", "lineas", "quick", panel.upload, *choice))
    assert (form.source, form.target) == ("e f\ng h", "a b\nc d")


def test_another_label_column_offers_its_labels(handlers):
    menu = handlers.choose_labels(Upload("x.csv", PAIRED), "before", "note")
    assert menu.choices == [("x, such as “a b”", "x"), ("y, such as “c d”", "y")]
    assert handlers.choose_labels(None, None, None).choices == []


def test_every_label_of_a_file_can_be_chosen_and_what_is_too_many_is_said(handlers):
    for count in (20, 1001):
        rows = "".join(f"text {number},topic {number}\n" for number in range(count))
        menu = handlers.choose_labels(Upload("x.csv", f"text,topic\n{rows}".encode()), "", "topic")
        assert len(menu.choices) == min(count, 1000)
        assert menu.info == ("" if count == 20 else "The first 1,000 of 1,001 labels.")


def test_another_column_of_prompts_changes_the_examples_of_the_labels_only(handlers):
    answer = handlers.choose_texts(Upload("x.csv", PAIRED), "after", "note")
    assert answer.constructor_args == {
        "choices": [("x, such as “e f”", "x"), ("y, such as “g h”", "y")]
    }
    assert is_skip(handlers.choose_texts(None, None, None))


def test_a_layout_shows_its_own_menus(handlers):
    for layout, label, shown in (
        (PAIRS, "label", [True, True, False, False, False]),
        (LABELLED, "label", [False, False, True, True, True]),
        (LABELLED, None, [False, False, True, True, False]),  # there are no labels to choose from
    ):
        assert [update["visible"] for update in handlers.choose_layout(layout, label)] == shown


@pytest.mark.parametrize(
    ("choice", "sentence"),
    [
        ((PAIRS, "before", None, None, None, None), "Nothing is chosen for the target"),
        ((PAIRS, "after", "after", None, None, None), "“after” is chosen for both sides"),
        ((LABELLED, None, None, "before", "note", None), "chosen for the source label"),
        ((LABELLED, None, None, "before", "nowhere", "x"), "there is no column 'nowhere'"),
        ((LABELLED, None, None, "before", "note", "x"), "1 prompt found"),
    ],
)
def test_a_choice_that_cannot_work_is_one_sentence(handlers, choice, sentence):
    with pytest.raises(gr.Error, match=sentence):
        handlers.use("tiny", "lineas", "quick", Upload("x.csv", PAIRED), *choice)


def test_what_is_likely_is_chosen_already(handlers, tmp_path):
    _, panel = read(handlers, tmp_path, "x.csv", b"before,after\na,b\nc,d\n")
    assert (panel.layout, panel.source.value, panel.target.value) == (PAIRS, "before", "after")
    _, panel = read(handlers, tmp_path, "x.csv", b"id,remark,flag\nx1,a,0\nx2,b,1\n")
    assert (panel.layout, panel.text.value, panel.label.value) == (LABELLED, None, "flag")
    assert [value for _, value in panel.source_label.choices] == ["0", "1"]


def test_a_choice_without_a_file_is_one_sentence(handlers):
    with pytest.raises(gr.Error, match="Upload it again"):
        handlers.use("tiny", "lineas", "quick", None, PAIRS, "a", "b", None, None, None)


def test_the_panel_closes_without_a_choice(handlers):
    assert handlers.cancel().frame.visible is False


def test_a_file_with_one_side_fills_its_box(tmp_path):
    (tmp_path / "x.ndjson").write_text(
        '{"prompt": {"text": "a"}, "n": 1}\n{"prompt": {"text": "b"}}'
    )
    assert read_prompts(str(tmp_path / "x.ndjson")) == "a\nb"


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("empty.csv", b"", "nothing found"),
        ("one.csv", b"source,target\na,b\n", "1 prompt found"),
        ("binary.csv", b"\x89PNG\r\n\x1a\n\0\0", "binary"),
        ("styles.csv", b"name,prompt,negative_prompt\na,b,c\n", "name, prompt, negative_prompt"),
        ("large.csv", b"source,target\n" + b"a" * 10_000_000, "larger than 1,000,000 bytes"),
        ("broken.json", b'{"source": ["a"', "line 1"),
        ("picture.png", b"a", "png"),
    ],
)
def test_an_upload_that_cannot_be_read_is_one_sentence(
    handlers, tmp_path, name, content, sentence
):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(gr.Error, match=sentence) as caught:
        handlers.read_set("tiny", "lineas", "quick", str(tmp_path / name))
    assert "Internal error" not in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_pairs_that_repeat_a_prompt_are_learnt_from_as_pairs(handlers, tmp_path):
    form, _ = read(handlers, tmp_path, "x.csv", b"source,target\na,b\na,c\nd,e\nf,e\na,b\n,x\n")
    studio = text_studio()
    learning = FormHandlers(studio)
    given = {name: getattr(form, name) for name in ("source", "target", "heldout", "known")}
    start(learning, **given)
    prompts = studio.jobs.submitted[0].prompts
    assert (prompts.source, prompts.target) == (("a", "a", "d", "f"), ("b", "c", "e", "e"))
    assert "problem" not in learning.count("tiny", form.source, form.known)
    given["target"] = form.target.replace("c\ne", "\ne")  # a pair that the user half removed
    start(learning, **given)
    prompts = studio.jobs.submitted[1].prompts
    assert (prompts.source, prompts.target) == (("a", "d", "f"), ("b", "e", "e"))
