import math

import pytest

from app.studio.votes import Vote, Votes, wilson


def _vote(choice, maps=(("robot", 0.5),)):
    return Vote("Robot", maps, "a lake", 3, choice)


@pytest.fixture
def votes(tmp_path):
    return Votes(tmp_path / "votes.jsonl")


def test_nobody_has_chosen_yet(votes):
    assert votes.preferences() == []


def test_choices_are_counted_for_every_map_and_survive_a_restart(votes, tmp_path):
    for choice in ("steered", "steered", "original", "undecided"):
        votes.add(_vote(choice))
    votes.add(_vote("original", (("robot", 1.0), ("car", 0.5))))
    alone, together = Votes(tmp_path / "votes.jsonl").preferences()
    assert (alone.steered, alone.original, alone.undecided) == (2, 1, 1)
    assert alone.share == pytest.approx(2 / 3)
    assert together.decided == 1


def test_a_torn_line_spoils_no_other(votes, tmp_path):
    votes.add(_vote("steered"))
    with (tmp_path / "votes.jsonl").open("a") as file:
        file.write('{"title": "Ro')
    votes.add(_vote("original"))
    (preference,) = votes.preferences()
    assert (preference.steered, preference.original) == (1, 1)


def test_wilsons_interval():
    # 8 of 10, by the formula's textbook figures
    assert wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)
    low, high = wilson(5, 5)
    assert math.isclose(high, 1.0)
    assert 0.5 < low < 1


def test_the_votes_of_version_0_1_are_taken_over(tmp_path):
    former = Votes(tmp_path / "ballots.jsonl")
    former.add(_vote("steered"))
    votes = Votes(tmp_path / "votes.jsonl")
    votes.add(_vote("original"))
    (preference,) = Votes(tmp_path / "votes.jsonl").preferences()
    assert (preference.steered, preference.original) == (1, 1)
    assert not (tmp_path / "ballots.jsonl").exists()
