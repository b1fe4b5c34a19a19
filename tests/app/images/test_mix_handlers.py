"""The rows of further concepts, as plain functions."""

from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest

from app.images.mix_handlers import MixHandlers
from app.studio.maps import MapEntry
from app.studio.mix import MOST_FURTHER
from tests.app.fakes import image_studio, is_skip, requested

CLOSED = (None, 0.5)


def _entry(map_id, model, kind="text-to-image"):
    return MapEntry(map_id, map_id.title(), model, "ready-made", Path("unused"), {}, kind=kind)


@pytest.fixture
def studio():
    """Three maps of one model, one of another, and one for texts."""
    entries = [_entry(map_id, "small") for map_id in ("robot", "night", "car")]
    entries += [_entry("other", "large"), _entry("topic", "small", kind="language")]
    models = SimpleNamespace(installed=lambda _: True)
    return SimpleNamespace(maps=lambda: entries, models=models)


@pytest.fixture
def handlers(studio):
    return MixHandlers(studio)


def _rows(answers):
    """Map and λ of the rows that are open, and whether another one can be added."""
    *cells, add = answers
    frames, menus, strengths = cells[::3], cells[1::3], cells[2::3]
    assert len(frames) == MOST_FURTHER
    shown = zip(frames, menus, strengths, strict=True)
    return [(menu.value, lam) for frame, menu, lam in shown if frame.visible], add.visible


def test_an_added_concept_is_one_that_is_not_in_use(handlers):
    assert _rows(handlers.add("robot", *CLOSED, *CLOSED)) == ([("night", 0.5)], True)
    answers = handlers.add("night", "robot", -0.25, *CLOSED)
    assert _rows(answers) == ([("robot", -0.25), ("car", 0.5)], False)


def test_only_maps_of_the_first_ones_model_are_offered(handlers):
    _, menu, *_ = handlers.add("robot", *CLOSED, *CLOSED)
    assert menu.choices == [("Robot", "robot"), ("Night", "night"), ("Car", "car")]
    *_, button = handlers.close_unsuitable("other", *CLOSED, *CLOSED)
    assert not button.visible  # nothing fits beside it


def test_maps_of_another_model_leave_and_the_rest_stays(handlers):
    answers = handlers.close_unsuitable("robot", "other", 0.25, "night", 0.75)
    assert _rows(answers) == ([("night", 0.75)], True)


def test_a_map_that_is_gone_leaves(handlers):
    assert _rows(handlers.close_unsuitable("robot", "deleted", 0.25, *CLOSED)) == ([], True)


def test_without_a_first_concept_no_row_is_open(handlers):
    assert _rows(handlers.close_unsuitable(None, "night", 0.25, *CLOSED)) == ([], False)


def test_a_closed_row_lets_the_others_move_up(handlers):
    answers = handlers.remove(0, "robot", "night", 0.25, "car", 0.75)
    assert _rows(answers) == ([("car", 0.75)], True)
    answers = handlers.remove(1, "robot", "night", 0.25, "car", 0.75)
    assert _rows(answers) == ([("night", 0.25)], True)


def test_a_map_moves_up_with_its_strength(handlers):
    first, lam, kept, *answers = handlers.move_up(0, "robot", -1, "night", 0.25, "car", 0.75)
    assert (first.value, lam, kept) == ("night", 0.25, ["night", ""])
    assert first.choices  # a value alone would be none of a menu that is out of date
    assert _rows(answers) == ([("robot", -1), ("car", 0.75)], False)
    first, lam, _, *answers = handlers.move_up(1, "robot", -1, "night", 0.25, "car", 0.75)
    assert (first.value, lam) == ("robot", -1)
    assert _rows(answers) == ([("car", 0.75), ("night", 0.25)], False)


def test_the_open_rows_are_gathered_unless_a_number_is_being_typed(handlers):
    assert handlers.gather("night", 0.25, *CLOSED) == [("night", 0.25)]
    assert handlers.gather(*CLOSED, *CLOSED) == []
    assert handlers.gather("night", None, *CLOSED) == gr.skip()


def test_rows_open_move_up_and_close():
    handlers = MixHandlers(image_studio())
    frame, menu, lam, *_ = handlers.add("robot", None, 0.5, None, 0.5)
    assert (frame.visible, menu.value, lam) == (True, "mine", 0.5)
    rows = ("mine", 0.3, None, 0.5)
    first, strength, _, _, menu, lam, *_ = handlers.move_up(0, "robot", 0.8, *rows)
    assert (first.value, strength, menu.value, lam) == ("mine", 0.3, "robot", 0.8)
    assert "mine" in [map_id for _, map_id in first.choices]
    frame, menu, *_ = handlers.remove(0, "robot", "mine", 0.3, None, 0.5)
    assert not frame.visible
    assert handlers.gather("mine", 0.3, None, 0.5) == [("mine", 0.3)]


def test_a_row_that_is_overtaken_by_the_choice_of_another_map_stays_closed(
    studio, handlers, monkeypatch
):
    """It was of the model before, so that no picture could be painted."""
    maps = studio.maps

    def slow():
        monkeypatch.setattr(studio, "maps", maps)
        handlers.close_unsuitable("other", *CLOSED, *CLOSED)
        return maps()

    monkeypatch.setattr(studio, "maps", slow)
    with requested():
        assert all(map(is_skip, handlers.add("robot", *CLOSED, *CLOSED)))


def test_no_event_opens_a_row_of_another_model(handlers):
    assert _rows(handlers.remove(1, "robot", "other", 0.25, "night", 0.75)) == ([], True)
