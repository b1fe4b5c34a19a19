import pytest
import torch
from torch import nn

from benchmarks.convergence import warm_start
from benchmarks.growth import Curve
from benchmarks.memory import peak_saved
from benchmarks.naive import NaiveStep, agreement, own_step
from benchmarks.profile import profiled
from benchmarks.ratio import Ratio, apart, gate, interleaved
from lineas_core import LearnConfig, PromptSet
from lineas_core.learning.lineas import learn_iter
from lineas_core.learning.problem import Problem
from lineas_core.methods import METHODS
from tests.fakes import tiny_language_model
from tests.tolerance import TEXT_NETWORK, tolerance

SOURCE, TARGET = ["a b c", "b c d", "c d e f", "d e"], ["h g f", "g f e", "f e d c", "e d"]


def _problem(model, rows=None):
    plain = {"standardise": False, "pooling": "mean", "precision": "float32"}
    return Problem(model, SOURCE, TARGET, LearnConfig(**plain, micro_batch_size=rows), None)


def test_the_naive_step_agrees_with_ours_whole_and_in_chunks_and_leaves_the_weights_frozen():
    model = tiny_language_model()
    for rows in (None, 1):
        problem = _problem(model, rows)
        samples = problem.samples
        naive = NaiveStep(model, samples.names, samples.source, model.encode(TARGET))
        assert agreement("naive", naive, own_step(problem)) < 1e-3
    assert not any(p.requires_grad or p.grad is not None for p in model.network.parameters())
    assert not any(module._forward_hooks for module in model.network.modules())


@pytest.mark.parametrize("standardise", [True, False])
def test_a_warm_start_begins_with_the_maps_of_lin_act(standardise):
    model, data = tiny_language_model(), PromptSet(tuple(SOURCE), tuple(TARGET))
    config = LearnConfig(standardise=standardise, iterations=2)
    state = warm_start(model, data, config)
    first, *_, last = learn_iter(model, SOURCE, TARGET, config=config, resume=state)
    expected = METHODS["lin-act"].learn(model, SOURCE, TARGET)
    near = tolerance(terms=2 * TEXT_NETWORK)
    assert (first.iteration, last.iteration) == (0, 2)
    for name, its in expected.items():
        torch.testing.assert_close(first.maps[name].scale, its.scale, **near)
        torch.testing.assert_close(first.maps[name].shift, its.shift, **near)


def test_a_chunk_of_one_prompt_keeps_less_than_half_of_four():
    model = tiny_language_model()
    whole, one = (peak_saved(own_step(_problem(model, k)), model.network) for k in (None, 1))
    assert 0 < one < whole / 2


def test_saved_bytes_count_every_storage_once_while_it_is_kept_and_no_weights():
    network = nn.Linear(4, 4).requires_grad_(False)
    start = torch.randn(8, 4, requires_grad=True)

    def work():
        for _ in range(2):
            y = network(start).relu()  # keeps its result
            y.square().sum().backward()  # keeps the same

    assert peak_saved(work, network) == 8 * 4 * 4


@pytest.mark.parametrize("difference", [0.2, float("nan")])
def test_ways_that_differ_are_not_compared(difference):
    assert gate("R0", 0.05, 0.1) == 0.05
    with pytest.raises(SystemExit, match="R0: the two ways differ"):
        gate("R0", difference, 0.1)


def test_a_difference_is_relative():
    assert apart(torch.tensor([1.1, 0]), torch.tensor([1.0, 0])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("ratio", "bounds", "smaller", "verdict"),
    [
        (3.0, (2.4, 1.8), False, "goal"),
        (2.0, (2.4, 1.8), False, "at least"),
        (1.0, (2.4, 1.8), False, "short"),
        (1.2, (1.1, 1.25), True, "at least"),
        (1.2, (None, None), False, "beside"),
    ],
)
def test_a_verdict_follows_goal_and_least(ratio, bounds, smaller, verdict):
    goal, least = bounds
    made = Ratio("R0", ratio, 0, 0, 0, 0, goal=goal, least=least, smaller_is_better=smaller)
    assert made.verdict == verdict


def test_works_are_timed_in_turn_and_every_other_round_backwards():
    order = []
    taken = interleaved([lambda: order.append("a"), lambda: order.append("b")], 2)
    assert "".join(order) == "ab" + "ab" + "ba"  # the first to warm up
    assert [len(seconds) for seconds in taken] == [2, 2]


def test_a_slope_is_the_power_that_time_grows_with():
    assert Curve("square", [1, 2, 4], [3.0, 12.0, 48.0]).slope == pytest.approx(2)
    assert Curve("free", [1, 10], [5.0, 5.0]).slope == pytest.approx(0)


def test_a_profile_shares_out_all_of_a_step(monkeypatch):
    monkeypatch.setattr("benchmarks.profile.load_model", lambda name: tiny_language_model())
    seconds, shares = profiled("tiny", "football")
    assert seconds > 0
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["matrix products and convolutions"] > 0.02
    assert shares["sorting"] > 0
