from collections import Counter
from math import isnan

import pytest

from lineas_core.metrics.diversity import distinct, repetition

TEXTS = ["The cat sat. The cat sat.", "the dog sat", "A cat", ""]


def _counted(words, n):
    return Counter(" ".join(words[i : i + n]) for i in range(len(words)) if i + n <= len(words))


@pytest.mark.parametrize("n", [1, 2, 3])
def test_distinct_counts_kinds_over_all_texts(n):
    words = [
        ["the", "cat", "sat", ".", "the", "cat", "sat", "."],
        ["the", "dog", "sat"],
        ["a", "cat"],
    ]
    counted = sum((_counted(row, n) for row in words), Counter())
    assert distinct(TEXTS, n) == pytest.approx(len(counted) / counted.total())


def test_distinct_by_hand():
    assert distinct(["a b a b"], 1) == 0.5
    assert distinct(["a b a b"], 2) == pytest.approx(2 / 3)
    assert distinct(["a b", "a b"], 2) == 0.5  # a second text may repeat the first
    assert distinct(["a b", "b a"], 2) == 1  # no n-gram reaches from one text into the next


def test_repetition_is_what_came_before_in_the_same_text():
    once, loop, marks = repetition(["a b c d e", "a b c d " * 5, "?" * 20])
    assert once == 0
    assert loop == pytest.approx(13 / 17)  # four kinds of 17
    assert marks == pytest.approx(16 / 17)


def test_what_has_no_n_gram_is_not_a_number():
    assert isnan(distinct([], 1))
    assert isnan(distinct(["one two"], 3))
    short, enough = repetition(["one two three", "one two three four"])
    assert isnan(short)
    assert enough == 0
