"""The events of the Text tab as plain functions, with a studio that writes at once."""

from types import SimpleNamespace

import gradio as gr
import pytest

from app.studio.settings import Settings
from app.text.handlers import HARMFUL, TextHandlers
from tests.app.fakes import MARKUP, ME, is_skip, text_studio


@pytest.fixture
def studio():
    return text_studio()


def _generate(handlers, strength=1.0, map_id="topic", prompt="The man", session="me"):
    request = SimpleNamespace(session_hash=session)
    return handlers.generate(strength, map_id, prompt, 1, 20, 1.0, False, request)


def test_both_texts_stream_and_end_with_their_scores(studio):
    first, *_, (original, steered, _) = _generate(TextHandlers(studio))
    assert "caret" in first[0]
    assert "caret" not in steered
    assert "λ = 0" in original
    assert "λ = +1.00" in steered
    assert "<b>25%</b>" in steered
    assert "<b>–</b>" in steered  # an empty text has no perplexity
    assert "<mark>goal</mark>" in steered


def test_finished_texts_come_with_the_link_of_their_own_settings(studio):
    *writing, done = _generate(TextHandlers(studio), prompt="The man ")
    assert all(is_skip(result) for *_, result in writing)
    made = Settings(["topic"], [1.0], "The man", 1, length=20)
    assert Settings.from_link(done[2][1:]) == made


def test_no_markup_of_a_text_reaches_the_page(studio):
    *_, (original, steered, _) = _generate(TextHandlers(studio), prompt=MARKUP)
    assert "<img" not in original + steered
    assert "&lt;img" in steered


def test_a_newer_wish_ends_the_older_writing(studio):
    handlers = TextHandlers(studio)
    me, somebody = (SimpleNamespace(session_hash=name) for name in ("me", "somebody"))
    handlers.new_request(me)
    stream = _generate(handlers)
    next(stream)
    handlers.new_request(somebody)
    next(stream)
    handlers.new_request(me)
    assert list(stream) == []
    assert studio.texts.closed == 1


def test_a_model_that_is_missing_names_the_next_step(studio):
    studio.models.missing = {"tiny"}
    ((original, steered, _),) = _generate(TextHandlers(studio))
    assert "install the model" in original


def test_the_harmful_direction_carries_a_note(studio):
    texts = {
        strength: list(_generate(TextHandlers(studio), strength=strength, map_id="toxic"))[-1][1]
        for strength in (-0.5, 0.5)
    }
    assert HARMFUL in texts[-0.5]
    assert HARMFUL not in texts[0.5]


def test_nothing_is_written_while_a_number_is_being_typed(studio):
    assert list(_generate(TextHandlers(studio), strength=None)) == []


@pytest.mark.parametrize("strength", [float("nan"), True, "1", 1.5, [0.5]])
def test_a_strength_that_is_none_is_refused(studio, strength):
    with pytest.raises(gr.Error, match="Give a number from -1 to 1"):
        list(_generate(TextHandlers(studio), strength=strength))


def test_a_notice_shows_markup_as_text(studio):
    with pytest.raises(gr.Error) as caught:
        list(_generate(TextHandlers(studio), strength=MARKUP))
    assert "<img" not in str(caught.value)


def test_the_sweep_marks_the_original(studio):
    *_, table = TextHandlers(studio).sweep("topic", "The man", 1, 20, 1.0, False, ME)
    assert table.count("<tr ") == 9
    assert table.count('<tr class="original" data-strength="0.0"') == 1
    assert "<img" not in table
    assert HARMFUL.split(" makes ")[1] not in table


def test_a_sweep_ends_when_another_map_is_chosen(studio):
    handlers = TextHandlers(studio)
    stream = handlers.sweep("topic", "The man", 1, 20, 1.0, False, ME)
    assert "&lt;img" in next(stream)  # the title of its map
    handlers.choose("toxic", "The man", [], SimpleNamespace(session_hash="somebody"))
    next(stream)
    view = handlers.choose("toxic", "The man", [], ME)
    assert list(stream) == [view.sweep]  # also if a row came after the answer to the choice
    assert studio.texts.closed == 1


def test_a_sweep_that_has_waited_for_its_turn_is_not_of_the_map_before(studio):
    handlers = TextHandlers(studio)
    view = handlers.choose("toxic", "The man", [], ME)
    assert [*handlers.sweep("topic", "The man", 1, 20, 1.0, False, ME)] == [view.sweep]


def test_the_sweep_of_an_offensive_map_says_which_side_may_harm(studio):
    *_, table = TextHandlers(studio).sweep("toxic", "You are", 1, 20, 1.0, False, ME)
    assert "Negative λ makes texts more offensive" in table


def test_a_row_of_the_sweep_tells_its_strength(studio):
    handlers = TextHandlers(studio)
    assert handlers.strength_at(SimpleNamespace(strength=-0.75)) == -0.75
    with pytest.raises(gr.Error, match="Give a number from -1 to 1"):
        handlers.strength_at(SimpleNamespace(strength="<img>"))


def test_a_map_of_an_offensive_concept_brings_its_openings_and_a_content_note(studio):
    handlers = TextHandlers(studio)
    _, note, _, _, prompt, examples, *_ = handlers.choose("toxic", "The man", [], ME)
    assert prompt == ["The man", "You people"]
    assert examples["samples"] == [["You are"], ["You people"]]
    assert "blurred until you click" in note
    _, note, _, _, prompt, *_ = handlers.choose("topic", "My own words", [], ME)
    assert is_skip(prompt)  # stays
    assert note == ""


def test_a_prompt_that_was_restored_comes_with_its_map_and_the_chat_switch_stays(studio):
    handlers, restored = TextHandlers(studio), ["toxic", "The man"]
    for shown in ("", "The man"):
        view = handlers.choose("toxic", shown, restored, ME)
        assert view.prompt == [shown, "The man"]
        assert "value" not in view.chat.constructor_args
    view = handlers.choose("toxic", "My own words", restored, ME)
    assert is_skip(view.prompt)
    assert view.chat.value is False
    assert handlers.choose("topic", "", restored, ME).prompt == ["", "The man"]


def test_the_menu_keeps_a_choice_and_prefers_what_can_run(studio):
    handlers = TextHandlers(studio)
    assert handlers.library("toxic", "/").constructor_args.keys() == {"choices"}
    assert handlers.library("gone", "/").value == "topic"
