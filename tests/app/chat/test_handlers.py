"""The events of the Chat tab as plain functions, with a studio that answers at once."""

import json
from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from app.chat.handlers import ChatHandlers
from app.html.texts import HARMFUL
from app.studio.turns import read_turns
from lineas_core import UserError
from lineas_core.methods import INSTRUCTION
from lineas_core.models.catalog import MODELS
from tests.app.fakes import MARKUP, ME, is_skip, text_studio


@pytest.fixture
def studio():
    return text_studio()


@pytest.fixture
def handlers(studio):
    return ChatHandlers(studio)


def _settings(
    strength=1.0, map_id="topic", system="", prompted=False, instruction="Be kind.", seed=1
):
    return strength, map_id, system, prompted, instruction, seed, 20, 1.0


def _send(handlers, message="Hello", turns="", request=ME, **settings):
    return handlers.send(message, turns, *_settings(**settings), request)


def _last(views, name):
    """The last value that a component got."""
    return [value for view in views if not is_skip(value := getattr(view, name))][-1]


def _sent(handlers, message="Hello", turns="", **settings):
    """Send a message and wait; returns the turns and what is shown of the last one."""
    views = [*_send(handlers, message, turns, **settings)]
    return _last(views, "turns"), _last(views, "current")


def test_both_answers_stream_and_have_their_scores_at_the_end_only(handlers):
    views = [*_send(handlers)]
    first = views[0]
    assert (first.written, first.message.submit_btn) == (["Hello", ""], False)
    assert first.message.stop_btn == "Stop"
    shown = [view.current for view in views if not is_skip(view.current)]
    assert all("caret" in each and "toxicity" not in each for each in shown[:-1])
    assert "caret" not in shown[-1]
    assert shown[-1].count("toxicity <b>25%</b>") == 2
    assert "λ = +1.00" in shown[-1]
    assert "<mark>goal</mark>" in shown[-1]
    assert views[-1].message.submit_btn == "Send"
    assert views[-1].actions.visible


def test_a_second_turn_has_the_first_before_it_and_its_own_strength_and_seed(handlers, studio):
    turns, _ = _sent(handlers)
    turns, _ = _sent(handlers, "And you?", turns, strength=-0.5)
    (_, _, first), (_, before, second) = studio.chats.asked
    assert [turn.message for turn in before] == ["Hello"]
    assert (first.seed, second.seed) == (1, 2)
    stored = read_turns(turns)
    assert [turn.answers["steered"].strength for turn in stored] == [1.0, -0.5]
    assert {turn.answers["original"].strength for turn in stored} == {0.0}


def test_no_markup_of_a_message_or_an_answer_reaches_the_page(handlers):
    turns, current = _sent(handlers, MARKUP)
    views = [*_send(handlers, "again", turns)]
    for shown in (current, _last(views, "past")):
        assert "<img" not in shown
        assert "&lt;img" in shown


def test_prompting_is_a_third_column_with_the_instruction(handlers, studio):
    _, current = _sent(handlers, prompted=True)
    assert "“Be kind.”" in current
    assert current.count("<article") == 3
    assert studio.chats.asked[0][2].instruction == "Be kind."
    _, current = _sent(handlers, prompted=False)
    assert current.count("<article") == 2
    assert studio.chats.asked[1][2].instruction == ""


def test_a_stop_of_this_session_ends_the_answers_and_keeps_them(handlers):
    stream = _send(handlers)
    for _ in range(3):
        next(stream)
    handlers.stop(SimpleNamespace(session_hash="somebody"))
    next(stream)
    handlers.stop(ME)
    (turn,) = read_turns(_last([*stream], "turns"))
    assert turn.answers["steered"].text in (f"a goal {MARKUP}", f"a goal {MARKUP} and more")
    assert turn.answers["steered"].perplexity == 9.0


@pytest.mark.parametrize("again", [False, True])
def test_a_stop_while_the_answer_waits_keeps_the_first_words(handlers, again):
    turns, _ = _sent(handlers) if again else ("", "")
    stream = handlers.regenerate(turns, *_settings(), ME) if again else _send(handlers)
    next(stream)
    handlers.stop(ME)
    (turn,) = read_turns(_last([*stream], "turns"))
    assert turn.answers["original"].text == "a"


@pytest.mark.parametrize("again", [False, True])
def test_a_new_chat_while_the_answer_waits_stays_empty(handlers, again):
    turns, _ = _sent(handlers) if again else ("", "")
    stream = handlers.regenerate(turns, *_settings(), ME) if again else _send(handlers)
    next(stream)
    handlers.start_anew(ME)
    assert [*stream] == []


def test_no_other_seed_is_drawn_while_the_answer_is_written(handlers, studio):
    first, *_, last = _send(handlers)
    assert (first.reseed.interactive, last.reseed.interactive) == (False, True)
    studio.chats.error = UserError("E_PROMPT", "it is too long", remedy="Shorten it.")
    views = []
    with pytest.raises(gr.Error):
        views.extend(_send(handlers))
    assert views[-1].reseed.interactive
    assert handlers.start_anew(ME).reseed.interactive


def test_a_page_that_is_left_ends_the_answers(handlers, studio):
    stream = _send(handlers)
    for _ in range(2):
        next(stream)
    stream.close()
    assert studio.chats.closed == 1


def test_editing_takes_the_last_message_back_into_its_box(handlers):
    turns, _ = _sent(handlers, "one")
    turns, _ = _sent(handlers, "two", turns)
    view = handlers.edit(turns)
    assert view.message.value == "two"
    assert [turn.message for turn in read_turns(view.turns)] == ["one"]
    assert "one" in view.current
    assert view.past == ""
    nothing = handlers.edit("")
    assert is_skip(nothing.turns)


def test_a_chat_that_the_page_has_kept_is_shown_again(handlers):
    turns, _ = _sent(handlers, "one")
    turns, _ = _sent(handlers, "two", turns)
    view = handlers.restore(turns)
    assert "one" in view.past
    assert "two" in view.current
    assert (view.turns, view.actions.visible) == (turns, True)
    assert view.message.value is None  # what is typed there stays
    assert all(map(is_skip, handlers.restore("")))


def test_regenerating_answers_the_last_message_at_the_new_strength(handlers):
    turns, _ = _sent(handlers, "one")
    views = [*handlers.regenerate(turns, *_settings(strength=0.5), ME)]
    (turn,) = read_turns(_last(views, "turns"))
    assert (turn.message, turn.answers["steered"].strength, turn.seed) == ("one", 0.5, 1)
    assert not [v for v in views if getattr(v.message, "value", None)]  # what is typed stays
    assert [*handlers.regenerate("", *_settings(), ME)] == []


def test_after_an_error_the_message_is_back_and_the_chat_as_before(handlers, studio):
    turns, current = _sent(handlers, "one")
    studio.chats.error = UserError("E_PROMPT", "it is too long", remedy="Shorten it.")
    stream, views = _send(handlers, "two", turns), []
    with pytest.raises(gr.Error, match="It is too long"):
        views.extend(stream)
    assert views[-1].written == ["", "two"]  # unless another one is there
    assert views[-1].turns == turns
    assert views[-1].current == current
    stream, views = handlers.regenerate(turns, *_settings(), ME), []
    with pytest.raises(gr.Error, match="It is too long"):
        views.extend(stream)
    assert (views[-1].turns, views[-1].current) == (turns, current)


def test_a_model_that_is_missing_names_the_next_step(handlers, studio):
    studio.models.missing = {"tiny"}
    with pytest.raises(gr.Error, match="Click Install"):
        next(_send(handlers))


@pytest.mark.parametrize(
    ("message", "settings", "sentence"),
    [
        (" ", {}, "The prompt is empty"),
        ("x" * 2001, {}, "2,001 characters"),
        ("Hello", {"strength": None}, "from -1 to 1"),
        ("Hello", {"strength": float("nan")}, "from -1 to 1"),
        ("Hello", {"map_id": None}, "no such map"),
        ("Hello", {"system": "x" * 2001}, "2,001 characters"),
        ("Hello", {"seed": -1}, "Seed is -1"),
        ("Hello", {"prompted": True, "instruction": " "}, "The instruction is empty"),
        ("Hello", {"turns": "[3]"}, "Start a new chat"),
    ],
)
def test_what_cannot_be_sent_is_one_sentence(handlers, message, settings, sentence):
    with pytest.raises(gr.Error, match=sentence):
        next(_send(handlers, message, **settings))


def test_the_harmful_direction_carries_a_note(handlers):
    for strength, noted in ((-0.5, True), (0.5, False)):
        _, current = _sent(handlers, strength=strength, map_id="toxic")
        assert (HARMFUL in current) is noted


def test_a_map_brings_its_instruction_unless_one_was_written(handlers):
    view = handlers.choose("toxic", "")
    assert view.instruction == ["", INSTRUCTION]
    assert "blurred until you click" in view.caution
    view = handlers.choose("topic", INSTRUCTION)
    topic = f"Write about {MARKUP.lower()}."
    assert view.instruction == [INSTRUCTION, topic]
    assert handlers.choose("toxic", "My own.").instruction == ["My own."] * 2
    assert handlers.choose("toxic", topic).instruction == [topic, INSTRUCTION]
    assert "Learn one" in handlers.choose(None, "").summary


def test_the_third_column_opens_with_the_instruction_of_the_map(handlers):
    box, text = handlers.show_instruction(True, "toxic", "")
    assert (box.visible, text) == (True, ["", INSTRUCTION])
    assert handlers.show_instruction(True, "toxic", "My own.")[1] == ["My own."] * 2
    box, text = handlers.show_instruction(False, "toxic", "")
    assert box.visible is False
    assert is_skip(text)


def test_the_menu_offers_maps_of_models_that_chat(handlers, studio):
    base = next(name for name, model in MODELS.items() if not model.chat)
    studio.entries.append(replace(studio.entries[0], id="base", model=base))
    menu = handlers.library("base", "/")
    assert [map_id for _, map_id in menu.choices] == ["topic", "toxic"]
    assert menu.value == "topic"


def test_a_new_chat_is_empty_and_ends_the_old_one(handlers):
    stream = _send(handlers)
    for _ in range(3):
        next(stream)
    view = handlers.start_anew(ME)
    assert [*stream] == []
    assert view.turns == "[]"
    assert "Write a message" in view.current
    assert view.actions.visible is False


def test_exports_have_all_turns(handlers):
    turns, _ = _sent(handlers, "one", prompted=True)
    turns, _ = _sent(handlers, "two", turns)
    chat = json.loads(handlers.export_json(turns))
    assert [turn["message"] for turn in chat["turns"]] == ["one", "two"]
    assert "## 2. You\n\n> two" in handlers.export_markdown(turns)


def test_a_chat_that_is_too_long_to_go_on_can_be_exported(handlers):
    turns, _ = _sent(handlers)
    (row,) = json.loads(turns)
    row["answers"]["original"]["text"] = "x" * (1 << 20)
    long = json.dumps([row])
    with pytest.raises(gr.Error, match="Export it, then start a new one"):
        next(_send(handlers, turns=long))
    assert len(handlers.export_json(long)) > 1 << 20
    assert len(handlers.export_markdown(long)) > 1 << 20


def test_a_page_that_sends_back_more_keywords_than_a_map_has_is_refused(handlers):
    turns, _ = _sent(handlers)
    (row,) = json.loads(turns)
    for keywords in ([f"word{k}" for k in range(8000)], ["x" * 101]):
        with pytest.raises(gr.Error, match="Start a new chat"):
            handlers.edit(json.dumps([{**row, "keywords": keywords}]))


def test_the_instruction_is_that_of_the_map_that_was_chosen_last(handlers):
    """Its box was opened, and a map chosen, before the server had answered the first."""
    brought = handlers.choose("toxic", "").instruction
    assert handlers.show_instruction(True, "topic", "")[1] == brought
