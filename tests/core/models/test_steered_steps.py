"""Steering at a range of denoising steps only."""

from contextlib import ExitStack

import numpy as np
import pytest
import torch

from lineas_core import AffineMap, SteeringMaps, UserError, fold, record, steer
from lineas_core.steering.folding import unsteered
from lineas_core.steering.hooks import coordinate_axis
from tests.fakes import tiny_image_model
from tests.pipelines import model_of, pixels, random_maps

PROMPTS, SEEDS = ["a b", "c d e f"], [3, 4]


@pytest.fixture(scope="module")
def model():
    return model_of("dmd2").with_denoising(num_inference_steps=3)  # each step counts


def _maps(model, seed=0):
    with torch.no_grad(), record(model.network, model.default_modules) as found:
        model.forward(model.encode(PROMPTS))
    axes = {name: coordinate_axis(model.network.get_submodule(name)) for name in found}
    identity = {n: AffineMap.identity(z.shape[axes[n]]) for n, z in found.items()}
    return random_maps(SteeringMaps(identity), seed)


def _painted(model, maps, strength=1.0, act=steer, steps=None):
    with act(model.network, maps, strength):
        return pixels(model.with_denoising(steer_at=steps).generate(PROMPTS, seeds=SEEDS))


def _off(one, other):
    return np.abs(one - other).max()


def test_the_range_of_all_steps_is_steering_and_strength_0_is_none(model):
    maps = _maps(model)
    assert _off(_painted(model, maps, steps=(0, 2)), _painted(model, maps)) == 0
    assert _off(_painted(model, maps, 0.0, steps=(1, 2)), _painted(model, maps, 0.0)) == 0


def test_a_range_differs_from_all_steps_from_none_and_from_other_ranges(model):
    maps = _maps(model)
    ranges = [None, (0, 0), (1, 1), (2, 2), (0, 1)]
    painted = [_painted(model, maps, 0.0), *(_painted(model, maps, steps=r) for r in ranges)]
    for place, one in enumerate(painted):
        assert all(_off(one, other) > 1 for other in painted[:place])


@pytest.mark.parametrize(
    ("name", "steps", "passes"), [("sd", 3, 3), ("flux-schnell", 4, 4), ("heun", 3, 5)]
)
def test_maps_act_at_the_steps_of_the_range(name, steps, passes, monkeypatch):
    model = model_of(name).with_denoising(num_inference_steps=steps)
    maps, applied, apply = _maps(model), [], AffineMap.apply
    counting = lambda self, *rest: applied.append(1) or apply(self, *rest)  # noqa: E731
    monkeypatch.setattr(AffineMap, "apply", counting)
    counts = []
    for at in (None, (0, 0), (1, steps - 1)):
        applied.clear()
        with steer(model.network, maps):
            model.with_denoising(steer_at=at).generate(["a"], seeds=[0])
        counts.append(len(applied) / len(maps))
    assert counts == [passes, 1, passes - 1]


def test_folded_maps_act_in_the_range_as_hooks_do_and_come_back_bit_for_bit(model):
    maps = _maps(model)
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    folded = _painted(model, maps, act=fold, steps=(1, 2))
    assert _off(folded, _painted(model, maps, steps=(1, 2))) <= 6  # a decoder in bfloat16 rounds
    assert _off(folded, _painted(model, maps, 0.0)) > 6
    after = model.network.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_each_row_of_a_batch_keeps_its_strength_in_a_range(model):
    maps, rows = _maps(model), [1.0, 0.0]
    both = _painted(model, maps, rows, steps=(0, 1))
    for row, strength in enumerate(rows):
        alone = _painted(model, maps, strength, steps=(0, 1))
        assert _off(both[row], alone[row]) <= 6  # a decoder in bfloat16 rounds
    assert _off(both[1], _painted(model, maps, 0.0)[1]) <= 6


@pytest.mark.parametrize("acts", [(steer,), (fold,), (fold, fold), (steer, fold), (fold, steer)])
def test_blocks_around_are_undone_and_act_again_bit_for_bit(acts):
    model = tiny_image_model()
    inputs = model.encode(["ab", "cd"])
    with torch.no_grad(), ExitStack() as stack:
        plain = model.forward(inputs)
        for seed, act in enumerate(acts):
            stack.enter_context(act(model.network, _maps(model, seed), 0.7))
        steered = model.forward(inputs)
        with unsteered(model.network):
            assert torch.equal(model.forward(inputs), plain)
        assert torch.equal(model.forward(inputs), steered)
        with pytest.raises(ZeroDivisionError), unsteered(model.network):
            raise ZeroDivisionError
        assert torch.equal(model.forward(inputs), steered)
        assert not torch.equal(plain, steered)
        stack.close()
        assert torch.equal(model.forward(inputs), plain)


@pytest.mark.parametrize("steps", [(0, 3), (2, 1), (-1, 0), (1,)])
def test_a_range_outside_of_the_steps_is_one_sentence(model, steps):
    with pytest.raises(UserError, match=r"steer_at is .* Give a first and a last step up to 2\."):
        model.with_denoising(steer_at=steps)
