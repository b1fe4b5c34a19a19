import random

import pytest

from lineas_core.serving.text import TextStream
from tests.fakes import tiny_language_model

TEXT = "A café, 東京 and 🎈: is it 5 °C? "


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_language_model().tokenizer


def _stream(tokenizer, tokens, *stop):
    stream = TextStream(lambda ids: tokenizer.decode(ids, skip_special_tokens=True), stop)
    pieces = []
    for token in tokens:
        pieces.append(stream.push(token))
        if stream.stopped:
            break
    return [*pieces, stream.rest()], stream.stopped


def test_the_pieces_are_whole_characters_and_make_up_the_text(tokenizer):
    tokens = tokenizer(TEXT, add_special_tokens=False)["input_ids"]  # a byte each
    pieces, stopped = _stream(tokenizer, tokens)
    assert "".join(pieces) == TEXT
    assert not stopped
    assert all("\ufffd" not in piece for piece in pieces)


def test_bytes_that_are_no_text_end_as_the_tokenizer_decodes_them(tokenizer):
    draw = random.Random(0)
    for _ in range(20):
        tokens = [draw.randrange(len(tokenizer)) for _ in range(60)]
        pieces, _ = _stream(tokenizer, tokens)
        assert "".join(pieces) == tokenizer.decode(tokens, skip_special_tokens=True)


def test_bytes_that_are_no_text_are_released_and_not_decoded_again_and_again(tokenizer):
    (byte,) = {*tokenizer("é", add_special_tokens=False)["input_ids"][1:]}  # no character alone
    sizes = []

    def decode(ids):
        sizes.append(len(ids))
        return tokenizer.decode(ids)

    stream, tokens = TextStream(decode), [byte] * 1000
    text = "".join(map(stream.push, tokens))
    assert len(text) >= 990
    assert text + stream.rest() == tokenizer.decode(tokens)
    assert max(sizes) < 20


@pytest.mark.parametrize(
    ("stop", "left"),
    [
        (["is"], "A café, 東京 and 🎈: "),
        (["5 °C!", "°C"], "A café, 東京 and 🎈: is it 5 "),
        (["it 5", "s it"], "A café, 東京 and 🎈: i"),
        (["🎈"], "A café, 東京 and "),
        (["? never"], TEXT),
    ],
)
def test_a_text_ends_before_a_stop_sequence_of_which_nothing_is_shown(tokenizer, stop, left):
    tokens = tokenizer(TEXT, add_special_tokens=False)["input_ids"]
    pieces, stopped = _stream(tokenizer, tokens, *stop)
    assert "".join(pieces) == left
    assert stopped == (left != TEXT)
    if stopped:
        assert pieces[-1] == ""  # it was known before the end
