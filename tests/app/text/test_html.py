"""Texts as HTML."""

from dataclasses import replace

from app.studio.texts import Continuation
from app.text import html as text_html


def test_a_text_is_blurred_where_it_is_likely_offensive_and_opened_once_it_is_whole():
    civil, rude = Continuation(1.0, "well", 0.5, 9.0), Continuation(0.0, "you idiot", 0.51, 9.0)
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


def test_line_feeds_of_a_text_stay():
    assert "a\nb" in text_html.passage("Steered", "x ", Continuation(1.0, "a\nb"))
