"""Sentences of messages."""

import pytest

from app.html.basics import sentence_of, warning


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the prompt is empty. Write one.", "The prompt is empty. Write one."),
        ("prompts, line 3: it is empty.", "Prompts, line 3: it is empty."),
        ("football.csv, line 3: it is empty.", "football.csv, line 3: it is empty."),
        ("smollm2-135m is not installed.", "smollm2-135m is not installed."),
        ("λ is 3.", "λ is 3."),
        ("3 prompts were given.", "3 prompts were given."),
        ("", ""),
    ],
)
def test_a_sentence_begins_with_a_capital_unless_with_a_name(text, shown):
    assert sentence_of(text) == shown


def test_a_warning_is_a_sentence():
    assert "<p" in warning("one duplicate dropped")
    assert "One duplicate dropped" in warning("one duplicate dropped")
