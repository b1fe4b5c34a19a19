"""The table of promises names tests that exist, and its page is the one that it makes."""

import ast
from functools import cache

import pytest

from tests.promises import AREAS, PAGE, PROMISES, ROOT, Promise, page, run, shown_by


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


def test_a_promise_whose_tests_were_all_skipped_is_not_kept(tmp_path, capfd):
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "test_a.py").write_text(
        "import pytest\n"
        "def test_done(): pass\n"
        "@pytest.mark.parametrize('k', [1, 2])\n"
        "def test_some(k): k == 1 and pytest.skip()\n"
        "@pytest.mark.skip\n"
        "def test_none(): pass\n"
    )
    names = {"A1": "done", "A2": "some", "A3": "none"}
    made = {k: Promise("", (f"test_a.py::test_{name}",)) for k, name in names.items()}
    assert run({name: made[name] for name in ("A1", "A2")}, tmp_path) == 0
    assert run(made, tmp_path) == 1
    told = capfd.readouterr().err
    assert "A3: not shown, all of its tests were skipped" in told
    assert "A1" not in told
    assert "A2" not in told


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m tests.promises"
