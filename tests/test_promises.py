"""The table of promises names tests that exist, and its page is the one that it makes."""

import ast
from functools import cache

import pytest

from tests.promises import AREAS, PAGE, PROMISES, ROOT, page, shown_by


@cache
def _tests_in(file):
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return {node.name for node in tree.body if isinstance(node, kinds)}


@pytest.mark.parametrize("name", PROMISES)
def test_a_promise_has_tests_or_says_what_it_lacks(name):
    promise = PROMISES[name]
    assert bool(promise.tests) != bool(promise.lacks)
    for test in shown_by(promise):
        file, function = test.split("::")
        assert function in _tests_in(file), test


def test_every_promise_is_listed_in_order():
    counts = {"U": 10, "T": 11, "P": 10, "I": 4, "S": 7, "X": 10, "E": 5}
    assert list(counts) == list(AREAS)
    expected = [f"{letter}{k}" for letter, most in counts.items() for k in range(1, most + 1)]
    assert list(PROMISES) == expected


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.promises"
