"""Answers of a real tiny model in several columns, and the turns as JSON and Markdown."""

import json
import math
from dataclasses import replace

import pytest

from app.studio import chats
from app.studio.chats import Chats
from app.studio.maps import read_map
from app.studio.models import Models
from app.studio.turns import (
    Answer,
    Turn,
    as_json,
    as_markdown,
    conversation,
    exported,
    read_turns,
)
from lineas_core import LearnConfig, UserError, learn, load_model, save_maps, steer
from lineas_core.models import LanguageModel, Sampling
from tests.fakes import hooks_of, save_model, tiny_chat_model

SHORT = Sampling(max_new_tokens=6)


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    """A map of a tiny model that chats."""
    root = tmp_path_factory.mktemp("chat")
    model = tiny_chat_model()
    model.name = save_model(model, root / "model")
    sides = (["a b", "b c"], ["y z", "x y"])
    maps = learn(model, *sides, config=LearnConfig(iterations=1, learning_rate=0.5))
    save_maps(maps, root / "words")
    return read_map("words", "ready-made", root / "words")


@pytest.fixture
def answers():
    return Chats(Models()).answer


def _turn(entry, message="hello", *, strength=1.0, instruction="", seed=3):
    given = {"original": Answer(0.0, ""), "steered": Answer(strength, "")}
    given |= {"prompted": Answer(0.0, "")} if instruction else {}
    return Turn(
        message,
        given,
        *("words", "Words", entry.model),
        instruction=instruction,
        seed=seed,
        sampling=SHORT,
    )


def _finished(answers, entry, turns, turn):
    *_, last = answers(entry, turns, turn)
    return last


def test_all_columns_grow_together_and_are_scored_at_the_end_only(answers, entry):
    steps = [*answers(entry, [], _turn(entry, instruction="Be kind."))]
    assert [[*step.answers] for step in steps] == [["original", "steered", "prompted"]] * 8
    *unfinished, last = steps
    for step in unfinished:
        assert {(a.toxicity, a.perplexity) for a in step.answers.values()} == {(None, None)}
    assert all(answer.perplexity > 1 for answer in last.answers.values())
    texts = [answer.text for answer in last.answers.values()]
    assert texts == [answer.text for answer in unfinished[-1].answers.values()]
    assert len({*texts}) == 3


def test_a_conversation_that_both_models_read_is_cut_once_per_column(answers, entry, monkeypatch):
    asked, recent = [], LanguageModel.recent
    monkeypatch.setattr(
        LanguageModel, "recent", lambda *a, **k: asked.append(a[1]) or recent(*a, **k)
    )
    _finished(answers, entry, [], _turn(entry, instruction="Be kind."))
    assert [talk[-1]["content"] for talk in asked] == ["hello", "hello", "Be kind. hello", "hello"]


def test_a_batch_of_columns_answers_as_each_model_alone(answers, entry):
    first = _finished(answers, entry, [], _turn(entry, instruction="Be kind."))
    second = _turn(entry, "and you?", strength=-0.5, instruction="Be brief.", seed=4)
    second = _finished(answers, entry, [first], second)
    model = load_model(entry.model)
    from lineas_core import load_maps

    maps = load_maps(entry.folder)
    for column, answer in second.answers.items():
        talk = conversation([first], second, column)
        assert talk[1]["content"] == first.answers[column].text
        with steer(model.network, maps, answer.strength):
            assert model.generate([talk], seeds=[4], sampling=SHORT) == [answer.text]


def test_only_the_prompted_column_reads_the_instructions(entry):
    turn = replace(_turn(entry, instruction="Be kind."), system="Be brief.")
    contents = {
        column: [message["content"] for message in conversation([], turn, column)]
        for column in ("original", "steered", "prompted")
    }
    assert contents == {
        "original": ["Be brief.", "hello"],
        "steered": ["Be brief.", "hello"],
        "prompted": ["Be brief.", "Be kind. hello"],
    }
    assert conversation([], turn, "prompted", instructed=False)[1]["content"] == "hello"


def test_a_column_that_joins_later_takes_over_the_original_answers(answers, entry):
    first = _finished(answers, entry, [], _turn(entry))
    talk = conversation([first], _turn(entry, "and?", instruction="Be kind."), "prompted")
    assert [m["content"] for m in talk[:2]] == ["hello", first.answers["original"].text]


def test_a_stop_keeps_and_scores_what_is_written(answers, entry):
    steps = [*answers(entry, [], _turn(entry), stopped=lambda: True)]
    assert len(steps) == 3  # nothing, one token, the scores
    assert steps[-1].answers["original"].text == steps[1].answers["original"].text
    assert steps[-1].answers["original"].perplexity > 1


def test_what_no_longer_fits_is_left_out_and_told(answers, entry, monkeypatch):
    first = _finished(answers, entry, [], _turn(entry, "x" * 90))
    monkeypatch.setattr(chats, "CONTEXT", 100)
    second = _finished(answers, entry, [first], _turn(entry, "and?"))
    assert {answer.left_out for answer in second.answers.values()} == {2}
    with pytest.raises(UserError, match="only 94 fit beside the answer. Shorten it"):
        _finished(answers, entry, [], _turn(entry, "x" * 90))


def test_a_chat_that_is_left_leaves_no_hooks(entry):
    models = Models()
    stream = Chats(models).answer(entry, [], _turn(entry))
    next(stream)
    next(stream)
    stream.close()
    assert not models.busy
    with models.use(entry.model) as model:
        assert not hooks_of(model.network)


ANSWER = Answer(0.5, "fine\n# `a`", 0.25, None, math.nan, 2)
TURN = Turn("Hi", {"original": ANSWER, "steered": ANSWER}, "words", "Words", "tiny")


def test_turns_survive_their_way_to_the_page_and_back():
    (back,) = read_turns(as_json([TURN]))
    assert math.isnan(back.answers["steered"].perplexity)
    assert as_json([back]) == as_json([TURN])
    assert read_turns("") == []


@pytest.mark.parametrize(
    "text",
    [
        *("{", "3", "[3]", "[{}]", "[" * 100_000, "[null]", None, 3, ["a"]),
        as_json([TURN]).replace('"Hi"', "3"),
        as_json([TURN]).replace('"Hi"', '" "'),
        as_json([TURN]).replace('"original"', '"other"'),
        as_json([TURN]).replace("0.25", '"<img>"'),
        as_json([TURN]).replace('"seed": 0', '"seed": 1e999'),
        as_json([TURN]).replace('"top_k": 50', '"top_k": 0'),
    ],
)
def test_a_chat_that_is_none_is_one_sentence(text):
    if text is None:
        assert read_turns(text) == []
        return
    with pytest.raises(UserError, match="cannot be read. Start a new chat"):
        read_turns(text)


def test_a_chat_without_end_is_refused():
    with pytest.raises(UserError, match="more than 1,048,576 characters. Export it"):
        read_turns(" " * (1 << 20) + " ", goes_on=True)


def test_an_export_has_the_messages_of_each_column():
    prompted = replace(TURN, answers={**TURN.answers, "prompted": ANSWER}, instruction="Be kind.")
    chat = json.loads(exported([TURN, prompted]))
    assert [*chat["conversations"]] == ["original", "steered", "prompted"]
    assert [m["content"] for m in chat["conversations"]["prompted"]] == [
        *("Hi", ANSWER.text, "Be kind. Hi", ANSWER.text)
    ]
    assert chat["turns"][0]["answers"]["steered"]["perplexity"] is None
    assert json.loads(exported([])) == {"turns": [], "conversations": {}}


def test_markdown_quotes_every_text():
    text = as_markdown([replace(TURN, system="Be\nbrief.")])
    assert "> fine\n> # `a`" in text
    assert "> Be\n> brief." in text
    assert "### Steered by Words, λ = 0.5" in text
    assert "toxicity 25%, insults not judged\n" in text
