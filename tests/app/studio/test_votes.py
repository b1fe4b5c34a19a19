import math

import pytest

from app.studio.votes import Vote, Votes, wilson


def _ballot(choice, maps=(("robot", 0.5),)):
    return Vote("Robot", maps, "a lake", 3, choice)


@pytest.fixture
def ballots(tmp_path):
    return Votes(tmp_path / "ballots.jsonl")


def test_nobody_has_chosen_yet(ballots):
    assert ballots.tallies() == []


def test_choices_are_counted_for_every_map_and_survive_a_restart(ballots, tmp_path):
    for choice in ("steered", "steered", "original", "undecided"):
        ballots.add(_ballot(choice))
    ballots.add(_ballot("original", (("robot", 1.0), ("car", 0.5))))
    alone, together = Votes(tmp_path / "ballots.jsonl").tallies()
    assert (alone.steered, alone.original, alone.undecided) == (2, 1, 1)
    assert alone.share == pytest.approx(2 / 3)
    assert together.decided == 1


def test_a_torn_line_spoils_no_other(ballots, tmp_path):
    ballots.add(_ballot("steered"))
    with (tmp_path / "ballots.jsonl").open("a") as file:
        file.write('{"title": "Ro')
    ballots.add(_ballot("original"))
    (tally,) = ballots.tallies()
    assert (tally.steered, tally.original) == (1, 1)


def test_wilsons_interval():
    # 8 of 10, by the formula's textbook figures
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(5, 5)
    assert math.isclose(high, 1.0)
    assert 0.5 < low < 1
