"""The events of the Rates panel, with a studio that counts at once."""

import math
from types import SimpleNamespace

import gradio as gr
import pytest

from app.html import charts
from app.text import html as text_html
from app.text.rates_handlers import RatesHandlers
from lineas_core import UserError
from tests.app.fakes import ME, is_skip, text_studio

SHARE = {"share": 0.5, "spread": 0.125, "judged": 2}
ROW = {
    "strength": 0.0,
    "texts": 2,
    **SHARE,
    "by": {"toxicity": SHARE},
    "perplexity": 12.0,
    "perplexity_spread": 1.5,
    "repetition": 0.25,
}
STEERED = {**ROW, "strength": 1.0, "perplexity": math.nan, "perplexity_spread": math.nan}


@pytest.fixture
def studio():
    studio = text_studio()
    studio.texts.rows = [[ROW], [ROW, STEERED]]
    return studio


def _measure(handlers, openings="Once\nThe man", words="", seeds=1, map_id="topic"):
    return handlers.measure(handlers.new_request(ME), map_id, openings, words, seeds, ME)


def test_figures_grow_with_every_batch_and_the_buttons_follow(studio):
    steps = list(_measure(RatesHandlers(studio), words="goal, , ball "))
    assert studio.texts.asked == ("topic", ["Once", "The man"], ["goal", "ball"], 1)
    _, first, second, last = steps
    assert "<b>2 of 10 texts</b>" in first[0]
    assert "about" in first[0]
    assert (first[1].count("<tr"), second[1].count("<tr")) == (2, 3)
    assert "<b>50%</b> ± 12%" in first[1]
    assert [button.visible for button in first[2:]] == [False, True]
    assert [button.visible for button in last[2:]] == [True, False]


def test_what_goes_wrong_on_the_way_leaves_a_page_to_try_again_on(studio, monkeypatch):
    def fail(*_, **__):
        yield [ROW]
        raise UserError("E_MODEL", "it does not fit", remedy="Learn it again.")

    monkeypatch.setattr(studio.texts, "rates", fail)
    stream, steps = _measure(RatesHandlers(studio)), []
    with pytest.raises(gr.Error, match="It does not fit"):
        steps.extend(stream)
    progress, result, start, stop = [*steps][-1]
    assert (progress, result) == ("", gr.skip())
    assert (start.visible, stop.visible) == (True, False)


def test_without_words_toxic_texts_are_counted(studio):
    *_, (_, result, *_), _ = _measure(RatesHandlers(studio))
    assert studio.texts.asked[2] == []
    assert '<th scope="col">toxicity</th>' in result


def test_stopping_keeps_the_figures_there_are(studio):
    handlers = RatesHandlers(studio)
    stream = _measure(handlers)
    next(stream)
    handlers.stop(SimpleNamespace(session_hash="somebody else"))
    next(stream)
    told = handlers.stop(ME)
    assert told.value == "Stopping …"
    ((progress, result, start, stop),) = stream
    assert "Stopped" in progress
    assert result.count("<tr") == 3
    assert (start.visible, stop.visible) == (True, False)


def test_another_map_stops_the_counting_and_brings_its_openings_and_words(studio):
    handlers = RatesHandlers(studio)
    stream = _measure(handlers)
    next(stream)
    shown = "Once\nThe man"
    view = handlers.choose("toxic", shown, "goal", ME)
    assert view == ([shown, "You are\nYou people"], ["goal", ""], "", "")
    ((progress, result, start, stop),) = stream
    assert progress == result == ""  # also if figures came after the answer to the choice
    assert (start.visible, stop.visible) == (True, False)
    own, words, *_ = handlers.choose("topic", "My own words", "", ME)
    assert is_skip(own)
    assert words == ["", "goal"]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"openings": " \n"}, "0 prompts were given. Write 1 to 200"),
        ({"openings": "\n".join(map(str, range(201)))}, "201 prompts were given"),
        ({"openings": "x" * 2001}, "prompts.txt, line 1: 2,001 characters"),
        ({"words": ",".join("a" * 101)}, "101 words were given"),
        ({"seeds": math.nan}, "The number of seeds is nan"),
        ({"seeds": None}, "The number of seeds is None"),
        ({"seeds": 9}, "from 1 to 8"),
        ({"map_id": None}, "no such map"),
    ],
)
def test_what_cannot_be_counted_is_refused_in_one_sentence(studio, form, sentence):
    with pytest.raises(gr.Error, match=sentence):
        next(_measure(RatesHandlers(studio), **form))
    assert studio.texts.asked is None


def test_a_model_that_is_missing_is_told_before_anything_is_counted(studio):
    studio.models.missing = {"tiny"}
    with pytest.raises(gr.Error, match="Click Install"):
        next(_measure(RatesHandlers(studio)))


def test_the_endpoint_answers_the_last_figures(studio):
    *_, rows = RatesHandlers(studio).rates("topic", ["Once "], ["goal"], seeds=2)
    assert studio.texts.asked == ("topic", ["Once"], ["goal"], 2)
    assert [row["strength"] for row in rows] == [0, 1]
    with pytest.raises(gr.Error, match="The prompt is empty"):
        next(RatesHandlers(studio).rates("topic", ["Once", " "]))


def test_a_figure_leaves_out_what_is_no_number():
    drawing = charts.rates([ROW, STEERED])
    assert drawing.count("heldout dot") == 3  # two shares, one perplexity
    assert drawing.count('class="spread"') == 3
    assert "nan" not in drawing


def test_a_single_seed_has_no_spread():
    share = {**SHARE, "spread": 0.0}
    row = {**ROW, "by": {"toxicity": share}, "perplexity_spread": 0.0}
    assert "±" not in text_html.rates([row]).split("</table>")[0]
