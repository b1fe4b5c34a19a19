"""Conversations: the template, what fits into the context, and answers to several turns."""

import pytest

from lineas_core import UserError
from lineas_core.models import Sampling
from tests.fakes import tiny_chat_model, tiny_language_model

SHORT = Sampling(max_new_tokens=8)
SYSTEM = {"role": "system", "content": "Be brief."}
HELLO = {"role": "user", "content": "hello"}
TURNS = [HELLO, {"role": "assistant", "content": "hi"}, {"role": "user", "content": "and?"}]


@pytest.fixture(scope="module")
def model():
    return tiny_chat_model()


def _size(conversation):
    """The tokens of a conversation in the template of `tiny_chat_model`."""
    return sum(len(m["role"]) + len(m["content"]) + 3 for m in conversation) + len("<assistant:")


def test_a_conversation_of_one_message_is_answered_like_its_text(model):
    for chat in (False, True):
        conversed = model.generate([[HELLO]], seeds=[3], sampling=SHORT, chat=chat)
        assert conversed == model.generate(["hello"], seeds=[3], sampling=SHORT, chat=True)
    assert conversed != model.generate(["hello"], seeds=[3], sampling=SHORT)


def test_every_message_before_the_last_changes_the_answer(model):
    conversations = [[SYSTEM, *TURNS], TURNS, TURNS[2:]]
    answers = model.generate(conversations, seeds=[3] * 3, sampling=SHORT)
    assert len({*answers}) == 3
    changed = [SYSTEM, TURNS[0], {**TURNS[1], "content": "ho"}, TURNS[2]]
    assert model.generate([changed], seeds=[3], sampling=SHORT)[0] != answers[0]


def test_conversations_of_different_length_do_not_disturb_each_other(model):
    conversations = [[HELLO], [SYSTEM, *TURNS]]
    together = model.generate(conversations, seeds=[3, 3], sampling=SHORT)
    alone = [model.generate([each], seeds=[3], sampling=SHORT)[0] for each in conversations]
    assert together == alone


def test_the_seed_decides_the_answer(model):
    first, again, other = model.generate([TURNS] * 3, seeds=[3, 3, 4], sampling=SHORT)
    assert first == again != other


def test_an_answer_is_judged_within_its_conversation(model):
    one, other, single = (
        model.log_likelihood([conversation], ["ho"])[0].tolist()
        for conversation in (TURNS, [SYSTEM, *TURNS], [HELLO])
    )
    assert one != other
    assert single == model.log_likelihood(["hello"], ["ho"], chat=True)[0].tolist()
    assert single[1] == 2


def test_the_oldest_turns_are_left_out_and_the_system_prompt_stays(model):
    talk = [SYSTEM, *TURNS]
    whole, cut = _size(talk), _size([SYSTEM, TURNS[2]])
    assert model.recent(talk, 8, whole + 8) == talk
    assert model.recent(talk, 8, whole + 7) == [SYSTEM, TURNS[2]]
    assert model.recent(talk, 8, cut + 8) == [SYSTEM, TURNS[2]]
    assert model.recent(TURNS, 8, _size(TURNS) + 8) == TURNS


def test_what_a_model_can_read_is_the_limit(model):
    long = [HELLO, {"role": "assistant", "content": "x" * 600}, TURNS[2]]  # it reads 512 tokens
    assert model.recent(long, 8) == model.recent(long, 8, 4096) == [TURNS[2]]


def test_a_message_that_is_too_long_is_refused_with_both_numbers(model):
    with pytest.raises(UserError, match=r"has 617 tokens with its .* only 504 fit"):
        model.recent([{"role": "user", "content": "x" * 599}], 8)


@pytest.mark.parametrize(
    ("conversation", "sentence"),
    [
        ([], "not a list of messages"),
        ([{"role": "user"}], "not a list of messages"),
        ([{"role": "robot", "content": "hi"}], "not a list of messages"),
        ([{"role": "user", "content": 3}], "not a list of messages"),
        ([HELLO, SYSTEM, HELLO], "comes after other messages"),
        (TURNS[:2], "the last message is from the assistant"),
        ([{"role": "user", "content": " "}], "the last message is empty"),
    ],
)
def test_what_is_no_conversation_is_one_sentence(model, conversation, sentence):
    for attempt in (lambda talk: model.generate([talk], seeds=[1]), lambda t: model.recent(t, 8)):
        with pytest.raises(UserError, match=sentence):
            attempt(conversation)


def test_a_model_without_a_template_does_not_converse():
    with pytest.raises(UserError, match="tiny has no chat template"):
        tiny_language_model().generate([TURNS], seeds=[1])


def test_what_a_template_does_not_take_is_one_sentence():
    model = tiny_chat_model()
    model.tokenizer.chat_template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(UserError, match=r"\(System role not supported\)\. Leave out the system"):
        model.generate([[SYSTEM, HELLO]], seeds=[1])
