"""Texts of several requests in one batch, whoever has the turn."""

import gc
import weakref
from itertools import zip_longest

import pytest
import torch

from app.studio import together
from app.studio.models import Models
from app.studio.together import Asked
from lineas_core import AffineMap, SteeringMaps, steer
from lineas_core.models import Sampling
from lineas_core.serving.group import Group
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
    monkeypatch.setattr(together, "_ROWS", 4)
    models = Models()
    requests = [_request(models, model, 0, tokens=5), _request(models, model, 1)]
    assert _in_turn(requests) == [_alone(model, 0, 5), _alone(model, 1)]
    assert max(steps) == 3
    assert len(steps) == 5 + 12


def test_texts_that_are_longer_than_the_batch_may_be_do_not_join_it(model, steps, monkeypatch):
    monkeypatch.setattr(together, "_TOKENS", 100)
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
        with pytest.raises(MemoryError):
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
    with pytest.raises(MemoryError):
        list(requests[1])
    with pytest.raises(MemoryError):
        list(requests[0])


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
