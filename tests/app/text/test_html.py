"""Texts as HTML."""

import math
from dataclasses import replace

from app.studio.texts import Continuation
from app.text import html as text_html


def test_a_text_is_blurred_where_it_is_likely_offensive_and_opened_once_it_is_whole():
    civil, rude = (
        Continuation(1.0, "well", 0.5, 0.5, 9.0),
        Continuation(0.0, "you idiot", 0.51, 0.0, 9.0),
    )
    assert "blurred" not in text_html.passage("Steered", "You", civil)
    for shown in (
        text_html.passage("Original", "You", rude, keywords=["idiot"]),
        text_html.sweep("Topic", "You", [rude], keywords=["idiot"]),
    ):
        assert "<details" in shown
        assert 'class="blurred" aria-hidden="true">you <mark>idiot</mark></span>' in shown
    unfinished = text_html.passage("Original", "You", replace(rude, perplexity=None))
    assert "blurred" in unfinished
    assert "<details" not in unfinished


def test_a_text_in_a_language_that_the_judges_do_not_know_is_not_judged():
    written = Continuation(1.0, "не знаю", None, None, 9.0)
    assert text_html.passage("Steered", "You", written).count("<b>not judged</b>") == 2
    assert text_html.sweep("Topic", "You", [written]).count(">not judged</td>") == 2
    unfinished = replace(written, perplexity=None)
    assert "not judged" not in text_html.passage("Steered", "You", unfinished)


def test_texts_that_were_not_judged_are_told_beside_the_share():
    none = {"share": math.nan, "spread": math.nan, "judged": 0}
    some = {"share": 0.5, "spread": 0.0, "judged": 2}
    row = {"strength": 0.0, "texts": 5, **some, "by": {"toxicity": some, "insults": none}}
    table = text_html.rates(
        [{**row, "perplexity": 9.0, "perplexity_spread": 0.0, "repetition": 0}]
    )
    assert "<b>50%</b> <small>3 not judged</small>" in table
    assert ">not judged</td>" in table
    assert "nan" not in table


def test_line_feeds_of_a_text_stay():
    assert "a\nb" in text_html.passage("Steered", "x ", Continuation(1.0, "a\nb"))
