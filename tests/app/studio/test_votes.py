import math

import pytest

from app.studio.votes import Vote, Votes, wilson
from lineas_core import UserError
from tests.full_disk import full_disk


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
    assert alone.picked == {"steered": 2, "original": 1}
    assert alone.undecided == 1
    assert alone.share("steered") == pytest.approx(2 / 3)
    assert together.decided == 1


def test_a_torn_line_spoils_no_other(votes, tmp_path):
    votes.add(_vote("steered"))
    with (tmp_path / "votes.jsonl").open("a") as file:
        file.write('{"title": "Ro')
    votes.add(_vote("original"))
    (preference,) = votes.preferences()
    assert preference.picked == {"steered": 1, "original": 1}


def test_a_full_disk_is_said_and_costs_no_earlier_vote(votes, tmp_path):
    votes.add(_vote("steered"))
    before = (tmp_path / "votes.jsonl").read_bytes()
    with full_disk(), pytest.raises(UserError, match="the vote was not saved.*Free some disk"):
        votes.add(_vote("original"))
    assert (tmp_path / "votes.jsonl").read_bytes() == before
    votes.add(_vote("original"))
    (preference,) = votes.preferences()
    assert preference.picked == {"steered": 1, "original": 1}


@pytest.mark.parametrize(
    "line",
    [
        b"?",
        b"\xff\x00",
        b"null",
        b"[]",
        b"{}",
        b'{"title": "R", "maps": [["a", 1]], "prompt": "", "seed": 1, "choice": "both"}',
        b'{"title": "R", "maps": 7, "prompt": "", "seed": 1, "choice": "steered"}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_line_is_left_out_with_a_warning(votes, tmp_path, caplog, line):
    votes.add(_vote("steered"))
    with (tmp_path / "votes.jsonl").open("ab") as file:
        file.write(line + b"\n")
    votes.add(_vote("steered"))
    (preference,) = votes.preferences()
    assert preference.picked["steered"] == 2
    assert "Line 2 of votes.jsonl is damaged" in caplog.text


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
    assert preference.picked == {"steered": 1, "original": 1}
    assert not (tmp_path / "ballots.jsonl").exists()
