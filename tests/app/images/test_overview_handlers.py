"""The overview, the blind choice and the rows of further concepts, without a page."""

from types import SimpleNamespace

import pytest

from app.images.mix_handlers import MixHandlers
from app.images.overview_handlers import CompareHandlers
from app.studio.votes import Votes
from tests.app.images.test_handlers import FakeStudio


@pytest.fixture
def studio(tmp_path):
    studio = FakeStudio()
    studio.votes = Votes(tmp_path / "ballots.jsonl")
    return studio


def test_the_overview_starts_with_the_original_and_takes_what_is_clicked(studio):
    handlers = CompareHandlers(studio)
    *_, (labelled, told, painted) = handlers.overview("robot", "A valley", 7, -1)
    assert [image.getpixel((0, 0)) for image, _ in labelled] == [100, 0, 0]
    assert painted["maps"] == ["", "robot", "mine"]
    assert "seed 7" in told
    # What was painted with, whatever stands on the page by now.
    menu, *settings = handlers.take(painted, SimpleNamespace(index=2))
    assert menu.value == "mine"
    assert "mine" in [map_id for _, map_id in menu.choices]
    assert settings == [-1, "A valley", 7, ["mine", "A valley"]]
    assert handlers.take(painted, SimpleNamespace(index=0))[1:4] == (0, "A valley", 7)


def test_a_blind_choice_tells_nothing_before_and_is_counted_after(studio):
    handlers = CompareHandlers(studio)
    pair, *images, _question, _, _, verdict = handlers.draw("robot", [])
    assert verdict == ""
    assert all(not image.info for image in images)
    steered = images["AB".index(pair["steered"])]
    assert steered.getpixel((0, 0)) > 100
    handlers.answer(pair["steered"], pair)
    (tally,) = studio.votes.tallies()
    assert (tally.steered, tally.original) == (1, 0)
    handlers.answer("A", None)  # a second click
    assert studio.votes.tallies()[0].decided == 1


def test_rows_open_move_up_and_close(studio):
    handlers = MixHandlers(studio)
    frame, menu, lam, *_ = handlers.add("robot", None, 0.5, None, 0.5)
    assert (frame.visible, menu.value, lam) == (True, "mine", 0.5)
    rows = ("mine", 0.3, None, 0.5)
    first, strength, _, _, menu, lam, *_ = handlers.move_up(0, "robot", 0.8, *rows)
    assert (first.value, strength, menu.value, lam) == ("mine", 0.3, "robot", 0.8)
    assert "mine" in [map_id for _, map_id in first.choices]
    frame, menu, *_ = handlers.remove(0, "robot", "mine", 0.3, None, 0.5)
    assert not frame.visible
    assert handlers.gather("mine", 0.3, None, 0.5) == [("mine", 0.3)]
