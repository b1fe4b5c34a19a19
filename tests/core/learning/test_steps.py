"""Learning as a mean over several denoising steps."""

from dataclasses import replace

import pytest
import torch

from lineas_core import LearnConfig, UserError, learn, learn_iter
from lineas_core.learning.problem import Problem
from lineas_core.methods import METHODS
from tests.pipelines import model_of

SOURCE, TARGET = ["ab cd", "bc de", "cd ef"], ["ab", "bc", "cd"]
PLAIN = LearnConfig(iterations=6, precision="float32", standardise=False)


@pytest.fixture(scope="module")
def model():
    return model_of("sd").with_denoising(num_inference_steps=3)


def _costs(model, config, iterations, target=TARGET):
    problem = Problem(model, SOURCE, target, config, None)
    start = problem.zeros().requires_grad_()
    return [problem.cost_and_gradient(start, k)[0] for k in iterations]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"fresh_noise": True},
        {"standardise": True},
        {"standardise": True, "compare": "output", "fresh_noise": True},
    ],
)
def test_iterations_take_turns_at_the_steps_and_each_loss_is_that_of_its_step(model, changes):
    config = replace(PLAIN, **changes)
    costs = _costs(model.with_denoising(learn_at=(2, 0)), config, range(4))
    for iteration, step in enumerate((2, 0, 2, 0)):
        (alone,) = _costs(model.with_denoising(learn_at=step), config, [iteration])
        assert torch.equal(costs[iteration], alone)
    assert not torch.allclose(costs[0], costs[1])


@pytest.mark.parametrize("fresh", [False, True])
def test_both_sides_are_at_the_same_step(model, fresh):
    # Equal sides: only at the same step is every distance 0.
    config = replace(PLAIN, matched="yes", fresh_noise=fresh)
    costs = _costs(model.with_denoising(learn_at=(0, 2)), config, range(4), SOURCE)
    assert max(cost.abs().max() for cost in costs) == pytest.approx(0, abs=1e-6)


def test_every_task_meets_every_step(model):
    config = replace(PLAIN, identity_loss=True, both_ways=True)
    problem = Problem(model.with_denoising(learn_at=(0, 1)), SOURCE, TARGET, config, None)
    start = problem.zeros().requires_grad_()
    lasting = [problem.cost_and_gradient(start, k)[0].sum().item() for k in range(12)]
    measured = [k for k in range(12) if problem.is_measured(k)]
    assert measured == [0, 2]  # of 6 tasks two steer the source towards the target
    assert all(lasting[k] > 0 and lasting[k + 6] > 0 for k in measured)
    assert lasting[0] != lasting[6]


def test_unit_and_centre_are_means_over_the_steps(model):
    config = replace(PLAIN, standardise=True)
    both = Problem(model.with_denoising(learn_at=(0, 2)), SOURCE, TARGET, config, None)
    ones = [
        Problem(model.with_denoising(learn_at=step), SOURCE, TARGET, config, None)
        for step in (0, 2)
    ]
    parameters = torch.full_like(both.zeros(), 0.5)
    shifts = [
        torch.cat([step.shift for step in problem.maps(parameters).values()])
        for problem in (both, *ones)
    ]
    torch.testing.assert_close(shifts[0], (shifts[1] + shifts[2]) / 2)


def test_maps_of_several_steps_remember_them_and_bring_both_sides_together(model):
    several = model.with_denoising(learn_at=(0, 2))
    config = LearnConfig(iterations=24, precision="float32")
    maps = learn(several, SOURCE, TARGET, config=config, heldout=(SOURCE, TARGET))
    facts = maps.metadata
    assert facts["denoising"]["learn_at"] == (0, 2)
    assert facts["heldout"] < 0.8 * facts["heldout_start"]
    starts = [
        learn(
            model.with_denoising(learn_at=step),
            SOURCE,
            TARGET,
            config=replace(config, iterations=1),
            heldout=(SOURCE, TARGET),
        ).metadata["heldout_start"]
        for step in (0, 2)
    ]
    assert facts["heldout_start"] == pytest.approx(sum(starts) / 2)


def test_a_resumed_run_goes_on_at_the_step_whose_turn_it_is(model):
    several = model.with_denoising(learn_at=(0, 2))
    iterates = [*learn_iter(several, SOURCE, TARGET, config=PLAIN)]
    *_, resumed = learn_iter(several, SOURCE, TARGET, config=PLAIN, resume=iterates[3].state)
    for name, step in iterates[-1].maps.items():
        assert torch.equal(step.scale, resumed.maps[name].scale)
        assert torch.equal(step.shift, resumed.maps[name].shift)


def test_a_method_without_iterations_learns_at_one_step(model):
    with pytest.raises(UserError, match="Mean-AcT learns at one denoising step, not at 2"):
        METHODS["mean-act"].learn(model.with_denoising(learn_at=(0, 1)), SOURCE, TARGET)
