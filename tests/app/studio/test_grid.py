import re
from dataclasses import replace

import pytest

from app.studio import maps
from app.studio.grid import MOST_CELLS, Cell, axis_values, grid
from lineas_core import PromptSet, UserError
from tests.app.fakes import image_studio

ROBOT, MINE = (PromptSet(("a", "b"), (f"a {word}", f"b {word}")) for word in ("robot", "mine"))


@pytest.fixture
def studio():
    return image_studio()


@pytest.fixture
def cell(studio):
    return Cell((studio.entry("robot"),), (0.5,), "a hill", 7)


def test_rows_and_columns_change_their_own_setting(studio, cell):
    made = grid(studio, cell, ("strength", "-1, 0 0.5"), ("seed", "3, 7-8"))
    assert made.columns == ["λ -1", "λ 0", "λ +0.5"]
    assert made.rows == ["seed 3", "seed 7", "seed 8"]
    assert [[(c.seed, *c.strengths) for c in row] for row in made.cells] == [
        [(seed, -1), (seed, 0), (seed, 0.5)] for seed in (3, 7, 8)
    ]
    assert {c.prompt for row in made.cells for c in row} == {"a hill"}


def test_concepts_have_a_column_of_originals(studio, cell):
    made = grid(studio, cell, ("concept", "Mine"), ("prompt", "a hill\na lake"))
    assert made.columns == ["original", "Mine"]
    assert made.rows == ["a hill", "a lake"]
    for row, prompt in zip(made.cells, made.rows, strict=True):
        assert [(c.entries[0].id, c.strengths, c.prompt) for c in row] == [
            ("robot", (0.0,), prompt),
            ("mine", (0.5,), prompt),
        ]


def test_the_second_concept_has_an_axis_of_its_own(studio, cell):
    both = Cell((*cell.entries, studio.entry("mine")), (0.5, 1.0), "a hill", 7)
    made = grid(studio, both, ("strength", "0, 1"), ("second", "-1, 1"))
    assert [[c.strengths for c in row] for row in made.cells] == [
        [(0, -1), (1, -1)],
        [(0, 1), (1, 1)],
    ]


def test_one_axis_gives_one_row(studio, cell):
    made = grid(studio, cell, ("seed", "1-3"), ("", ""))
    assert made.rows == ["original", ""]
    assert [c.strengths for row in made.cells for c in row] == [(0,)] * 3 + [(0.5,)] * 3
    assert [c.seed for c in made.cells[0]] == [1, 2, 3]


def test_concepts_by_row_have_a_row_of_originals_of_each_seed(studio, cell):
    made = grid(studio, cell, ("seed", "1-2"), ("concept", "Mine"))
    assert made.rows == ["original", "Mine"]
    assert [[(c.entries[0].id, c.seed, *c.strengths) for c in row] for row in made.cells] == [
        [("robot", 1, 0), ("robot", 2, 0)],
        [("mine", 1, 0.5), ("mine", 2, 0.5)],
    ]


def test_of_two_maps_with_one_name_both_can_be_chosen(studio, cell):
    twin = replace(studio.entry("mine"), id="twin", title=cell.entries[0].title)
    studio.entries.append(twin)
    values = axis_values(studio, "concept", cell).splitlines()
    assert values == [twin.title, "Mine", f"{twin.title} · twin"]
    made = grid(studio, cell, ("concept", "\n".join(values)), ("", ""))
    assert [c.entries[0].id for c in made.cells[0]] == ["robot", "robot", "mine", "twin"]


@pytest.fixture
def learnt_twice(studio, monkeypatch):
    """Two concepts, each learnt with two methods."""
    robot, mine = studio.entries[1:]
    for each, method in ((robot, "other-robot"), (mine, "other-mine")):
        facts = {**each.metadata, "method": "mean-act"}
        studio.entries.append(replace(each, id=method, title=method, metadata=facts))
    prompts = {"robot": ROBOT, "other-robot": ROBOT, "mine": MINE, "other-mine": MINE}
    monkeypatch.setattr(maps, "prompts_of", lambda entry: prompts.get(entry.id))
    return studio


@pytest.mark.parametrize("by_row", [True, False])
def test_a_method_is_that_of_the_concept_of_its_cell(learnt_twice, cell, by_row):
    concepts = ("concept", f"{cell.entries[0].title}\nMine")
    methods = ("method", axis_values(learnt_twice, "method", cell))
    axes = (methods, concepts) if by_row else (concepts, methods)
    made = grid(learnt_twice, cell, *axes)
    cells = made.cells if by_row else [*zip(*made.cells, strict=True)]
    painted = [{c.entries[0].id for c in line if any(c.strengths)} for line in cells]
    assert [line for line in painted if line] == [
        {"robot", "other-robot"},
        {"mine", "other-mine"},
    ]


def test_a_concept_that_a_method_has_not_learnt_is_refused(learnt_twice, cell):
    learnt_twice.entries.pop()
    axes = ("concept", "Mine"), ("method", axis_values(learnt_twice, "method", cell))
    with pytest.raises(UserError, match="there is no method “.*” of “Mine”"):
        grid(learnt_twice, cell, *axes)


@pytest.mark.parametrize("axis", ["strength", "seed", "prompt", "concept", "method"])
def test_the_values_to_begin_with_can_be_painted(studio, cell, axis):
    made = grid(studio, cell, (axis, axis_values(studio, axis, cell)), ("", ""))
    assert len(made.cells[0]) >= 2


@pytest.mark.parametrize(
    ("columns", "rows", "told"),
    [
        (("seed", "1"), ("seed", "2"), "both axes are the same"),
        (("", "1"), ("seed", "2"), "an axis is missing"),
        (("size", "1"), ("seed", "2"), "an axis is missing"),
        (("seed", ""), ("", ""), "0 values of “Seed”"),
        (("seed", "1 - 999999999999"), ("", ""), "999999999999 values of “Seed”"),
        (("seed", "1-15 1-15"), ("", ""), "30 values of “Seed”"),
        (("seed", "10-7"), ("", ""), "10-7 ends before it begins. Write 7-10."),
        (("seed", "1.7"), ("", ""), "seed is 1.7. Give a whole number"),
        (("seed", f"1-{'9' * 5000}"), ("", ""), "is not a number"),
        (("seed", "-4"), ("", ""), "seed is -4"),
        (("seed", "nan"), ("", ""), "seed is nan"),
        (("seed", "seven"), ("", ""), "“seven” is not a number"),
        (("strength", "0, 2"), ("", ""), "λ is 2"),
        (("second", "0, 1"), ("", ""), "there is no second concept"),
        (("concept", "Topic"), ("", ""), "there is no concept “Topic” for this model"),
        (("seed", "1-15"), ("strength", "0 1 0 1 0 1 0"), "15 x 7 pictures"),
    ],
)
def test_a_wrong_axis_is_one_sentence(studio, cell, columns, rows, told):
    assert MOST_CELLS < 15 * 7
    with pytest.raises(UserError, match=re.escape(told)):
        grid(studio, cell, columns, rows)
