"""Learning that compares the output of a picture network instead of its activations."""

from dataclasses import asdict, replace

import pytest
import torch

from lineas_core import BUDGETS, LearnConfig, UserError, learn, learn_iter, steer
from lineas_core.learning.config import suited_config
from lineas_core.learning.problem import Problem
from lineas_core.models.base import Inputs
from lineas_core.runtime import memory
from tests.fakes import tiny_image_model, tiny_language_model, tiny_layout_model
from tests.tolerance import IMAGE_NETWORK, tolerance

SOURCE = ["ab cd", "bc de", "cd ef", "de fg"]
TARGET = ["ab", "bc", "cd", "de"]
CONFIG = LearnConfig(
    iterations=30,
    learning_rate=0.05,
    precision="float32",
    compare="output",
    fresh_noise=True,
    matched="yes",
    batch_size=2,
)


@pytest.fixture(scope="module")
def model():
    return tiny_image_model()


def _gap(model, maps, seed):
    """Mean squared distance of the steered source's output to the target's, pair by pair."""
    source, target = (model.with_noise(model.encode(side), seed) for side in (SOURCE, TARGET))
    with torch.no_grad():
        y = model.forward(target)
        with steer(model.network, maps):
            return (model.forward(source) - y).square().mean().item()


def test_steered_outputs_come_closer_to_the_target_with_noise_never_seen(model):
    config = replace(CONFIG, iterations=60)
    first, *_, last = learn_iter(model, SOURCE, TARGET, config=config)
    ratio = _gap(model, last.maps, 999) / _gap(model, first.maps, 999)
    assert ratio < 0.8
    assert set(last.loss_by_module) == {"output"}


def test_the_loss_is_the_distance_of_every_number_of_the_output(model):
    config = replace(CONFIG, fresh_noise=False, batch_size=None)
    problem = Problem(model, SOURCE, TARGET, config, None)
    cost, _ = problem.cost_and_gradient(problem.zeros().requires_grad_(), 0)
    source, target = (model.encode(side) for side in (SOURCE, TARGET))
    with torch.no_grad():
        x, y = (model.forward(side) for side in (source, target))
    unit = y.transpose(0, 1).flatten(1).std(dim=1).square().mean().sqrt()
    wanted = ((x.sort(dim=0).values - y.sort(dim=0).values) / unit).square().mean(dim=0)
    assert cost.shape == (wanted.numel(),)
    torch.testing.assert_close(cost, wanted.flatten(), **tolerance(terms=IMAGE_NETWORK))


def test_small_chunks_give_the_gradient_of_all_at_once(model):
    gradients = []
    for size in (None, 1):
        config = replace(CONFIG, micro_batch_size=size, batch_size=None)
        problem = Problem(model, SOURCE, TARGET, config, None)
        gradients.append(problem.cost_and_gradient(problem.zeros().requires_grad_(), 3)[1])
    whole, parts = gradients
    torch.testing.assert_close(
        parts, whole, **tolerance(terms=IMAGE_NETWORK, scale=whole.abs().max().item())
    )


def test_blocks_are_recomputed_where_memory_is_short(model, monkeypatch):
    def counted(*arguments, **options):
        blocks.append(arguments[0])
        return checkpoint(*arguments, **options)

    blocks, checkpoint = [], memory.checkpoint
    monkeypatch.setattr(memory, "checkpoint", counted)
    problem = Problem(model, SOURCE, TARGET, CONFIG, None)
    start = problem.zeros().requires_grad_()
    whole = problem.cost_and_gradient(start, 3)[1]
    assert not blocks
    problem.samples.memory.checkpointing = True
    again = problem.cost_and_gradient(start, 3)[1]
    assert blocks
    near = tolerance(terms=IMAGE_NETWORK, scale=whole.abs().max().item())
    torch.testing.assert_close(again, whole, **near)


def test_noise_is_fresh_at_each_iteration_and_the_same_on_both_sides(model):
    inputs = model.encode(TARGET)
    once, again, later = (model.with_noise(inputs, seed) for seed in (1, 1, 2))
    assert torch.equal(once.arguments["sample"], again.arguments["sample"])
    assert not torch.equal(once.arguments["sample"], later.arguments["sample"])
    assert torch.equal(
        model.with_noise(model.encode(SOURCE), 1).arguments["sample"], once.arguments["sample"]
    )
    for name in ("encoder_hidden_states", "added_cond_kwargs.text_embeds"):
        assert torch.equal(once.arguments[name], inputs.arguments[name])


def test_a_text_has_no_noise():
    inputs = Inputs({"input_ids": torch.ones(1, 2)})
    assert tiny_language_model().with_noise(inputs, 3) is inputs


def test_a_matched_batch_takes_the_same_lines_of_both_sides(model):
    # Equal sides: only where both sides draw the same lines is every distance 0.
    for matched in ("yes", "no"):
        config = replace(CONFIG, matched=matched)
        problem = Problem(model, SOURCE, SOURCE, config, None)
        start = problem.zeros().requires_grad_()
        costs = [problem.cost_and_gradient(start, k)[0].sum().item() for k in range(6)]
        assert (max(costs) == pytest.approx(0, abs=1e-6)) is (matched == "yes")


def test_a_resumed_run_goes_on_as_if_it_had_not_been_interrupted(model):
    config = replace(CONFIG, iterations=6, identity_loss=True)
    iterates = [*learn_iter(model, SOURCE, TARGET, config=config)]
    *_, resumed = learn_iter(model, SOURCE, TARGET, config=config, resume=iterates[3].state)
    for name, step in iterates[-1].maps.items():
        assert torch.equal(step.scale, resumed.maps[name].scale)
        assert torch.equal(step.shift, resumed.maps[name].shift)


@pytest.mark.parametrize(
    ("make", "target", "sentence"),
    [
        (tiny_image_model, TARGET[:3], "same size, not 4 and 3"),
        (tiny_language_model, TARGET, "for pictures"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(make, target, sentence):
    with pytest.raises(UserError, match=sentence):
        learn(make(), SOURCE, target, config=CONFIG)


def test_whether_lines_are_pairs_is_seen_from_them_where_batches_are_drawn(model):
    config = replace(CONFIG, matched="auto")
    for target, changes, matched in (
        (TARGET, {}, "yes"),
        (TARGET[::-1], {}, "no"),
        (TARGET, {"batch_size": None}, "no"),
    ):
        problem = Problem(model, SOURCE, target, replace(config, **changes), None)
        assert problem.config.matched == matched


def test_a_model_learns_as_suits_it_unless_told_otherwise(model):
    layout = tiny_layout_model()
    learnt = next(learn_iter(layout, SOURCE, TARGET)).maps.metadata["config"]
    suited = suited_config(keeps_layout=True)
    assert suited.compare == "output"
    assert learnt == asdict(replace(suited, matched="yes", pooling="max"))
    for other, pooling in ((model, "max"), (tiny_language_model(), "mean")):
        learnt = next(learn_iter(other, SOURCE, TARGET)).maps.metadata["config"]
        assert learnt == asdict(replace(LearnConfig(), matched="no", pooling=pooling))


@pytest.mark.parametrize("budget", ["paper (language)", "paper (DMD2)"])
def test_a_budget_of_the_paper_is_left_as_it_is(budget):
    for keeps_layout in (True, False):
        config = suited_config("manner", budget, keeps_layout=keeps_layout)
        assert config is BUDGETS[budget]


def test_the_kind_of_a_concept_has_settings_of_its_own():
    normal = BUDGETS["normal"]
    tone = replace(normal, identity_loss=True, shift_only=True)
    assert suited_config("manner", "normal") == tone
    assert suited_config("style", "normal") == replace(normal, both_ways=True)
    for kind in ("thing", "topic", ""):
        assert suited_config(kind, "normal") == normal
    late = suited_config("topic", "normal", preset="late-attention-output")
    assert late == replace(normal, shift_only=True, optimizer="sgd", learning_rate=0.1)
    assert suited_config("", "normal", preset="") == normal


def test_pictures_are_learnt_both_ways_where_the_budget_allows_it():
    chosen = [suited_config("thing", name, keeps_layout=True) for name in ("quick", "normal")]
    assert [config.both_ways for config in chosen] == [False, True]


def test_maps_that_are_learnt_both_ways_can_all_be_inverted(model):
    config = replace(CONFIG, both_ways=True, identity_loss=True, learning_rate=1.0)
    *_, last = learn_iter(model, SOURCE, TARGET, config=config)
    scales = torch.cat([step.scale for step in last.maps.values()])
    assert scales.min() > 0
    assert scales.min() < 0.5  # far enough that 1 + α would have come close to 0
