"""Texts of several requests in one batch, whoever has the turn."""

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import zip_longest

import pytest
import torch

from app.studio import together
from app.studio.models import Models
from app.studio.together import Asked
from lineas_core import AffineMap, SteeringMaps, UserError, steer
from lineas_core.models import LanguageModel, Sampling
from lineas_core.models.decoding import DecodingBatch
from lineas_core.serving.engine import Limits
from lineas_core.serving.group import Group
from tests.architectures import tiny_model
from tests.fakes import hooks_of, tiny_language_model

STRENGTHS = [0.0, 1.0, -0.5]
PROMPTS = ["Once upon a time", "a", "the old dog and the red hen", "x y z"]


@pytest.fixture
def model():
    return tiny_language_model(endless=True)


@pytest.fixture
def steps(monkeypatch):
    """Number of rows of every pass through the network."""
    counts, step = [], Group.step

    def counted(group):
        counts.append(len(group.rows))
        step(group)

    monkeypatch.setattr(Group, "step", counted)
    return counts


def _maps(model, seed):
    draw = torch.Generator().manual_seed(seed)
    return SteeringMaps(
        {
            name: AffineMap(*(torch.randn(2, 32, generator=draw) + torch.tensor([[1.0], [0.0]])))
            for name in model.default_modules
        }
    )


def _request(models, model, k, tokens=12):
    """The k-th request: a prompt at three strengths, with maps and a seed of its own."""
    sampling = Sampling(max_new_tokens=tokens)
    asked = Asked([PROMPTS[k % 4]] * 3, _maps(model, k), STRENGTHS, [k] * 3, sampling)
    return models.together.write(model, asked)


def _alone(model, k, tokens=12):
    with steer(model.network, _maps(model, k), STRENGTHS):
        sampling = Sampling(max_new_tokens=tokens)
        return model.generate([PROMPTS[k % 4]] * 3, seeds=[k] * 3, sampling=sampling)


def _in_turn(requests):
    """The last texts of requests that take turns."""
    last = {}
    for round_ in zip_longest(*requests):
        last |= {k: texts for k, texts in enumerate(round_) if texts is not None}
    return [last[k] for k in range(len(requests))]


def test_requests_share_a_batch_and_each_gets_the_text_that_it_gets_alone(model, steps):
    models, lengths = Models(), [12, 5, 9, 12]
    written = _in_turn([_request(models, model, k, n) for k, n in enumerate(lengths)])
    assert len(steps) < 12 + 2 * len(lengths)  # one after the other would take 38
    assert max(steps) == 12
    assert written == [_alone(model, k, n) for k, n in enumerate(lengths)]


def test_one_request_alone_tells_every_token(model, steps):
    texts = [*_request(Models(), model, 0, tokens=6)]
    assert len(texts) == len(steps) == 6
    assert texts[-1] == _alone(model, 0, tokens=6)


def test_a_request_that_comes_later_and_one_that_is_left_change_nothing(model, steps):
    models = Models()
    first, left = _request(models, model, 0), _request(models, model, 1)
    for _ in range(3):
        next(first), next(left)
    left.close()
    late = _request(models, model, 2)
    assert _in_turn([first, late]) == [_alone(model, 0), _alone(model, 2)]
    assert steps[-1] == 3  # the rows that nobody waits for have left
    assert hooks_of(model.network) == []


def test_what_does_not_fit_into_the_batch_is_written_in_turns_of_its_own(
    model, steps, monkeypatch
):
    monkeypatch.setattr(together, "_LIMITS", Limits(rows=4))
    models = Models()
    requests = [_request(models, model, 0, tokens=5), _request(models, model, 1)]
    assert _in_turn(requests) == [_alone(model, 0, 5), _alone(model, 1)]
    assert max(steps) == 3
    assert len(steps) == 5 + 12


def test_texts_that_are_longer_than_the_batch_may_be_do_not_join_it(model, steps, monkeypatch):
    monkeypatch.setattr(together, "_LIMITS", Limits(tokens=100))
    models = Models()
    requests = [_request(models, model, 2), _request(models, model, 1)]
    assert _in_turn(requests) == [_alone(model, 2), _alone(model, 1)]
    assert max(steps) == 3


def test_a_pass_that_fails_fails_for_all_of_its_requests_and_for_no_later_one(model, monkeypatch):
    models, step = Models(), Group.step
    requests = [_request(models, model, k) for k in range(2)]
    for _ in range(2):
        for request in requests:
            next(request)

    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr(Group, "step", too_large)
    for request in requests:
        with pytest.raises(UserError, match="not enough memory"):
            list(request)
    monkeypatch.setattr(Group, "step", step)
    assert _in_turn([_request(models, model, 3)]) == [_alone(model, 3)]


def test_a_batch_that_cannot_be_joined_fails_for_both(model, monkeypatch):
    models = Models()
    requests = [_request(models, model, k) for k in range(2)]
    for _ in range(2):
        next(requests[0])

    def too_large(*_, **__):
        raise MemoryError

    monkeypatch.setattr(Group, "join", too_large)
    for request in reversed(requests):
        with pytest.raises(UserError, match="not enough memory"):
            list(request)


def test_texts_that_were_left_do_not_keep_the_model_in_memory():
    model, models = tiny_language_model(endless=True), Models()
    request = _request(models, model, 0)
    for _ in range(3):
        next(request)
    request.close()
    alive = weakref.ref(model)
    del model, request
    gc.collect()
    assert alive() is None


def test_a_text_that_is_complete_outlives_a_pass_that_fails_afterwards(model, monkeypatch):
    models = Models()
    short, longer = _request(models, model, 0, tokens=5), _request(models, model, 1)

    def too_large(*_):
        raise MemoryError

    monkeypatch.setattr(DecodingBatch, "keep", too_large)
    last = [texts for pair in zip_longest(short, _until_it_fails(longer)) for texts in pair[:1]]
    assert last[4] == _alone(model, 0, tokens=5)


def _until_it_fails(request):
    with pytest.raises(UserError, match="not enough memory"):
        yield from request


def test_texts_that_were_left_give_their_memory_back_when_any_model_is_used(model, monkeypatch):
    models, groups, step = Models(), [], Group.step
    monkeypatch.setattr(Group, "step", lambda g: groups.append(weakref.ref(g)) or step(g))
    request = _request(models, model, 0)
    for _ in range(3):
        next(request)
    request.close()
    gc.collect()
    assert groups[-1]()
    models.keep(other := tiny_language_model())
    with models.use(other.name):
        gc.collect()
        assert groups[-1]() is None


def test_a_network_that_is_not_known_yet_is_tried_while_nobody_steers_it(model):
    models = Models()
    twin = model.twin()
    first = _request(models, model, 0)
    next(first)
    with ThreadPoolExecutor(1) as pool:
        with models.use_again(), steer(twin.network, _maps(model, 1), [1.0, 0.5]):
            waiting = pool.submit(next, _request(models, twin, 1))
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.5)
        assert len(waiting.result()) == 3


def test_visitors_in_threads_get_the_texts_that_they_get_alone(model):
    models = Models()
    with ThreadPoolExecutor(4) as pool:
        written = pool.map(lambda k: [*_request(models, model, k, tokens=5 + k)][-1], range(4))
        found = [*written]
    assert found == [_alone(model, k, tokens=5 + k) for k in range(4)]


def test_a_network_whose_rows_cannot_share_a_batch_writes_in_turns():
    odd = tiny_model("mamba")
    models = Models()
    requests = [_request(models, odd, k, tokens=4) for k in range(2)]
    assert _in_turn(requests) == [_alone(odd, k, tokens=4) for k in range(2)]
    assert hooks_of(odd.network) == []
    assert isinstance(odd, LanguageModel)
