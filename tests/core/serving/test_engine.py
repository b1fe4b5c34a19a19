import time
from queue import SimpleQueue

import pytest
import torch

from lineas_core import AffineMap, SteeringMaps, UserError, compose, find_modules, fold
from lineas_core.models import Sampling
from lineas_core.models.sampling import choose
from lineas_core.serving import group
from lineas_core.serving.engine import Busy, Engine, Limits
from lineas_core.serving.group import Request
from tests.fakes import ask_for_a_petabyte, hooks_of, tiny_language_model

PROMPTS = ["hello", "a", "a rather long opening of a text", "Once upon a time"]


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


@pytest.fixture(scope="module")
def endless():
    return tiny_language_model(endless=True)


@pytest.fixture(scope="module")
def engine(model):
    engine = Engine(model)
    yield engine
    engine.close()


def steering(model, strength, seed=0):
    """Random maps at a strength."""
    draw = torch.Generator().manual_seed(seed)
    steps = {
        name: AffineMap(1 + 0.3 * torch.randn(32, generator=draw), torch.randn(32, generator=draw))
        for name in find_modules(model.network, ".*o_proj")
    }
    return compose([SteeringMaps(steps)], [strength])


def request_of(model, prompt, maps=None, **options):
    """A request for a text."""
    tokens = model.tokenizer(prompt)["input_ids"]
    return Request(tokens, **({"maps": maps} if maps else {}), **options)


def _mixed(model):
    """Requests of different prompts, maps, strengths, seeds, lengths and settings."""
    return [
        request_of(
            model,
            PROMPTS[k % 4],
            steering(model, (-1, 0, 0.4, 1, 0.7)[k % 5], seed=k % 2),
            seed=k,
            sampling=Sampling(
                max_new_tokens=5 + 7 * (k % 3), temperature=(1, 0, 0.5)[k % 3], top_p=1 - k % 2 / 4
            ),
        )
        for k in range(12)
    ]


def _until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def _alone(model, prompt, request):
    with fold(model.network, request.maps):
        (text,) = model.generate([prompt], seeds=[request.seed], sampling=request.sampling)
    return text


def test_every_text_of_a_full_batch_is_the_one_that_the_model_writes_alone(model):
    wanted = [_alone(model, PROMPTS[k % 4], r) for k, r in enumerate(_mixed(model))]
    engine = Engine(model)
    try:
        assert engine.generate(_mixed(model)) == wanted
        assert [engine.generate([request])[0] for request in _mixed(model)] == wanted
    finally:
        engine.close()
    assert len({*wanted}) > 8
    assert not hooks_of(model.network)


def test_rows_that_differ_in_length_alone_are_sampled_together(model, monkeypatch):
    sizes = []

    def counted(logits, *rest):
        sizes.append(len(logits))
        return choose(logits, *rest)

    monkeypatch.setattr(group, "choose", counted)
    requests = [
        request_of(model, "hello", seed=k, sampling=Sampling(max_new_tokens=3 + k))
        for k in range(4)
    ]
    engine = Engine(model)
    try:
        texts = engine.generate(requests)
    finally:
        engine.close()
    assert max(sizes) == 4
    assert texts == [_alone(model, "hello", request) for request in requests]


def test_texts_join_one_after_another_and_stay_the_same(model):
    engine = Engine(model, Limits(rows=3))
    requests, texts, ends = _mixed(model), {}, SimpleQueue()

    def deliver(number, piece):
        texts[number] = texts.get(number, "") + piece.text
        if piece.finish:
            ends.put(number)

    try:
        for number, request in enumerate(requests):  # each in the middle of the ones before
            engine.submit([request], lambda _, piece, number=number: deliver(number, piece))
        for _ in requests:
            ends.get(timeout=60)
    finally:
        engine.close()
    wanted = [_alone(model, PROMPTS[k % 4], r) for k, r in enumerate(requests)]
    assert [texts[number] for number in range(len(requests))] == wanted


def test_a_long_prompt_is_read_in_parts_and_gives_the_same(model, monkeypatch):
    prompt = "word " * 60
    request = request_of(model, prompt, sampling=Sampling(max_new_tokens=6), seed=3)
    wanted = _alone(model, prompt, request)
    monkeypatch.setattr(group, "READ_AT_ONCE", 50)
    engine = Engine(model)
    try:
        assert engine.generate([request]) == [wanted]
    finally:
        engine.close()


def test_a_text_ends_at_a_stop_sequence(model, engine):
    request = request_of(model, "hello", sampling=Sampling(max_new_tokens=40), seed=1)
    (text,) = engine.generate([request])
    stop = text[5:8]
    (cut,) = engine.generate([Request(request.tokens, request.maps, request.sampling, 1, [stop])])
    assert cut == text[: text.index(stop)]


def test_a_cancelled_row_leaves_and_the_others_go_on(endless):
    engine, pieces = Engine(endless), SimpleQueue()
    long = Sampling(max_new_tokens=400)
    try:
        rows = engine.submit(
            [request_of(endless, "hello", sampling=long, seed=k) for k in (1, 2)],
            lambda place, piece: pieces.put((place, piece)),
        )
        pieces.get(timeout=60)
        engine.cancel(rows[:1])
        place, piece = pieces.get(timeout=60)
        while not piece.finish:
            place, piece = pieces.get(timeout=60)
        assert (place, piece.tokens) == (1, 400)
        assert rows[0].tokens < 400
    finally:
        engine.close()


def test_what_exceeds_the_limits_is_refused_and_nothing_of_it_is_queued(endless):
    engine = Engine(endless, Limits(rows=1, waiting=3))
    try:
        request = request_of(endless, "a", sampling=Sampling(max_new_tokens=400))
        running = engine.submit([request], lambda *_: None)
        _until(lambda: engine.rows)
        engine.submit([request] * 3, lambda *_: None)
        with pytest.raises(Busy) as raised:
            engine.submit([request], lambda *_: None)
        assert 1 <= raised.value.seconds <= 60
        assert engine.waiting == 3
        with pytest.raises(UserError, match="at most 3"):
            engine.submit([Request([])] * 4, lambda *_: None)  # before any of them is read
        with pytest.raises(UserError, match="together more than 512"):
            engine.submit(
                [request_of(endless, "a" * 200, sampling=Sampling(400))], lambda *_: None
            )
        with pytest.raises(UserError, match="the prompt is empty"):
            engine.submit([Request([])], lambda *_: None)
        engine.cancel(running)
    finally:
        engine.close()


def test_the_tokens_of_the_batch_are_limited(endless):
    engine = Engine(endless, Limits(tokens=120))
    most, pieces = [], SimpleQueue()

    def deliver(_, piece):
        most.append(engine.rows)
        pieces.put(piece)

    try:
        request = request_of(endless, "a", sampling=Sampling(max_new_tokens=38))  # 40 tokens
        engine.submit([request] * 7, deliver)
        ended = 0
        while ended < 7:
            ended += bool(pieces.get(timeout=60).finish)
    finally:
        engine.close()
    assert max(most) == 3


def test_a_failure_ends_its_texts_and_later_ones_are_written(model, monkeypatch):
    engine = Engine(model)
    request = request_of(model, "hello", sampling=Sampling(max_new_tokens=4))
    try:
        with monkeypatch.context() as patch:
            patch.setattr(model.network, "forward", ask_for_a_petabyte)
            with pytest.raises(UserError, match="there is not enough memory"):
                engine.generate([request])
        assert engine.generate([request]) == [_alone(model, "hello", request)]
    finally:
        engine.close()


def test_too_long_a_prompt_for_the_memory_ends_no_text_but_its_own(endless, monkeypatch):
    engine, forward, pieces = Engine(endless), endless.network.forward, SimpleQueue()
    sampling = Sampling(max_new_tokens=60)

    def short_of_memory(ids, **options):
        return forward(ids, **options) if ids.shape[1] == 1 else ask_for_a_petabyte()

    try:
        engine.submit(
            [request_of(endless, "a", sampling=sampling)], lambda _, piece: pieces.put(piece)
        )
        found = [pieces.get(timeout=60)]
        monkeypatch.setattr(endless.network, "forward", short_of_memory)
        with pytest.raises(UserError, match="a smaller --batch-tokens"):
            engine.generate([request_of(endless, "hello", sampling=sampling)])
        while not (found[-1].finish or found[-1].error):
            found.append(pieces.get(timeout=60))
        assert (found[-1].finish, found[-1].tokens) == ("length", 60)
    finally:
        engine.close()


def test_a_closed_engine_ends_what_it_has_begun(endless):
    engine, pieces = Engine(endless, Limits(rows=1)), SimpleQueue()
    request = request_of(endless, "a", sampling=Sampling(max_new_tokens=400))
    engine.submit([request] * 2, lambda place, piece: pieces.put((place, piece)))
    engine.close()
    errors = {}
    while len(errors) < 2:
        place, piece = pieces.get(timeout=60)
        errors |= {place: piece.error} if piece.error else {}
    assert all("was stopped" in str(error) for error in errors.values())
    with pytest.raises(UserError, match="is stopping"):
        engine.submit([request], lambda *_: None)
