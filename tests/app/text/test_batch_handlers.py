"""The batch of texts, without a page."""

import csv
from pathlib import Path

from app.text.batch_handlers import TextBatchHandlers
from app.widgets.batch_handlers import SAME
from tests.app.fakes import MARKUP, ME, text_studio


def test_every_prompt_is_continued_twice_and_saved_as_a_row():
    studio = text_studio()
    steps = TextBatchHandlers(studio).write(
        "Once\nThe man", SAME, -0.5, "topic", 7, 20, 1.0, False, ME
    )
    table = []
    for view in steps:
        if getattr(view.download, "value", None):
            text = Path(view.download.value["path"]).read_text("utf-8-sig")
            table = [*csv.DictReader(text.splitlines())]
            last = view
    assert studio.texts.asked == ("topic", ["Once", "The man"], -0.5, [7, 7])
    assert [row["prompt"] for row in table] == ["Once", "The man"]
    assert {row["seed"] for row in table} == {"7"}
    assert table[0]["steered"] == f" Once {MARKUP}"
    assert table[0]["toxicity_original"] == "0.25"
    assert last.result.count("<tr>") == 3
    assert MARKUP not in last.result


def test_a_map_of_toxicity_comes_with_a_caution():
    steps = TextBatchHandlers(text_studio()).write(
        "Once", SAME, 1.0, "toxic", 7, 20, 1.0, False, ME
    )
    assert "can be offensive" in next(steps).progress
