import math
import warnings
from dataclasses import replace

import pytest
import torch
from torch import nn

from lineas_core import FitConfig, LearnConfig, UserError, learn, learn_iter
from lineas_core.learning import tasks
from lineas_core.learning.descent import Descent
from lineas_core.learning.facts import heldout_distance
from lineas_core.learning.problem import Problem
from lineas_core.learning.wasserstein import wasserstein_1d
from lineas_core.models.base import Inputs
from tests.fakes import tiny_language_model
from tests.tolerance import TEXT_NETWORK, rounding

SOURCE = ["a b c", "b c d", "c d e f", "d e", "e f g", "f g h a", "g h", "h a b"]
TARGET = ["h g f", "g f e", "f e d c", "e d", "d c b", "c b a h", "b a", "a h g"]
EXACT = LearnConfig(iterations=12, sparsity=0, precision="float32", heldout_every=4)


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


class _Columns:
    """A model whose prompts are rows of numbers and whose network is two LayerNorms."""

    kind = name = "columns"
    keeps_layout = False
    default_pooling = "mean"
    default_modules = ["0", "2"]

    def __init__(self, width=6):
        torch.manual_seed(0)
        self.network = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, width), nn.LayerNorm(width)
        )
        self.network.requires_grad_(False)

    def encode(self, prompts):
        return Inputs({"input": torch.stack([torch.as_tensor(p) for p in prompts])})

    def forward(self, inputs):
        return self.network(inputs.arguments["input"].unsqueeze(1))

    def generate(self, prompts, *, seeds):
        raise NotImplementedError


def _final(run):
    *_, last = run
    return last


def test_the_loss_falls_and_the_held_out_distance_with_it(model):
    config = replace(EXACT, iterations=60)
    iterates = list(
        learn_iter(model, SOURCE, TARGET, config=config, heldout=(SOURCE[:4], TARGET[:4]))
    )
    assert len(iterates) == 61
    assert iterates[-1].loss < 0.9 * iterates[0].loss
    assert iterates[-1].heldout < iterates[0].heldout
    assert iterates[1].heldout is None


def test_the_first_iterate_is_the_untouched_network(model):
    first = next(learn_iter(model, SOURCE, TARGET, config=EXACT))
    assert first.iteration == 0
    assert first.support == 0
    assert first.best


class _Rows(_Columns):
    """A network of one module that puts out the rows as they are."""

    default_modules = ["0"]

    def __init__(self):
        self.network = nn.Sequential(nn.Linear(6, 6, bias=False)).requires_grad_(False)
        self.network[0].weight.copy_(torch.eye(6))


class _Planted(_Rows):
    """The last column of a prompt says whether a known map has moved the other six."""

    scale = torch.tensor([0.5, 1.0, 1.5, 2.0, 0.8, 1.2])
    shift = torch.tensor([0.5, -0.5, 0.0, 1.0, 0.2, -1.0])

    def forward(self, inputs):
        rows, planted = inputs.arguments["input"].split([6, 1], dim=1)
        moved = torch.where(planted > 0, self.scale * rows + self.shift, rows)
        return self.network(moved.unsqueeze(1))


@pytest.mark.parametrize("both_ways", [False, True])
def test_a_planted_map_is_recovered(both_ways):
    rows = torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
    source, target = (list(nn.functional.pad(rows, (0, 1), value=flag)) for flag in (0, 1))
    config = replace(EXACT, iterations=400, both_ways=both_ways)
    maps = learn(_Planted(), source, target, config=config)
    torch.testing.assert_close(maps["0"].scale, _Planted.scale, atol=0.02, rtol=0)
    torch.testing.assert_close(maps["0"].shift, _Planted.shift, atol=0.02, rtol=0)


@pytest.mark.parametrize("batch_size", [None, 3])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(model, optimizer, batch_size):
    config = replace(EXACT, optimizer=optimizer, batch_size=batch_size, sparsity=0.1)
    config = replace(config, both_ways=batch_size is None, identity_loss=optimizer != "sgd")
    heldout = (SOURCE[:3], TARGET[:3])
    whole = list(learn_iter(model, SOURCE, TARGET, config=config, heldout=heldout))
    state = {k: v.clone() for k, v in whole[5].state.items()}
    rest = list(learn_iter(model, SOURCE, TARGET, config=config, heldout=heldout, resume=state))
    assert [i.iteration for i in rest] == list(range(5, 13))
    for before, after in zip(whole[5:], rest, strict=True):
        assert before.loss == after.loss
        assert before.heldout == after.heldout
        assert before.best == after.best
    assert whole[-1].maps.metadata == rest[-1].maps.metadata
    for name, step in whole[-1].maps.items():
        assert torch.equal(step.scale, rest[-1].maps[name].scale)
        assert torch.equal(step.shift, rest[-1].maps[name].shift)


def test_an_abandoned_run_leaves_no_hook_behind(model):
    run = learn_iter(model, SOURCE, TARGET, config=EXACT)
    next(run), next(run)
    assert not any(module._forward_hooks for module in model.network.modules())
    run.close()


def test_the_network_s_weights_stay_as_they_are(model):
    before = {k: v.clone() for k, v in model.network.state_dict().items()}
    learn(model, SOURCE, TARGET, config=EXACT)
    after = model.network.state_dict()
    assert all(torch.equal(after[k], v) for k, v in before.items())


def test_the_paper_s_settings_learn_scale_and_shift_directly(model):
    config = replace(EXACT, optimizer="sgd", learning_rate=1e-3, standardise=False, iterations=1)
    first, second = learn_iter(model, SOURCE, TARGET, config=config)
    total = sum(first.loss_by_module.values())
    assert first.loss == pytest.approx(total, rel=rounding(terms=TEXT_NETWORK))
    # One step of SGD from the identity, at the full rate: ω - 1 and b are -ρ times gradients.
    maps = second.maps
    assert second.loss < first.loss
    assert all((m.shift != 0).any() for m in maps.values())


def test_unequal_set_sizes_and_mini_batches_work_together(model):
    config = replace(EXACT, batch_size=3)
    last = _final(learn_iter(model, SOURCE, TARGET[:5], config=config))
    assert math.isfinite(last.loss)


@pytest.mark.parametrize("pooling", ["auto", "mean", "max", "last", "all"])
def test_every_pooling_learns(model, pooling):
    config = replace(EXACT, pooling=pooling, iterations=40)
    iterates = list(learn_iter(model, SOURCE, TARGET, config=config))
    assert iterates[-1].loss < iterates[0].loss


def test_both_ways_bring_the_target_closer_to_the_source_by_the_inverse(model):
    config = replace(EXACT, iterations=60)

    def distance_back(both_ways, micro_batch_size=None):
        own = replace(config, both_ways=both_ways, micro_batch_size=micro_batch_size)
        maps = learn(model, SOURCE, TARGET, config=own).at(-1.0)
        problem = Problem(model, TARGET, SOURCE, config, None)
        return heldout_distance(problem.steps, (TARGET, SOURCE))(maps)

    one_way, both = distance_back(False), distance_back(True)
    assert both < 0.8 * one_way
    assert distance_back(True, micro_batch_size=2) == pytest.approx(both, rel=0.05)


@pytest.mark.parametrize("pooling", ["mean", "all"])
@pytest.mark.parametrize("both_ways", [False, True])
def test_with_an_identity_loss_target_prompts_stay_where_they_are(model, pooling, both_ways):
    config = replace(EXACT, iterations=60, pooling=pooling, both_ways=both_ways)

    def moved(identity_loss, **settings):
        own = replace(config, identity_loss=identity_loss, **settings)
        *_, last = iterates = list(learn_iter(model, SOURCE, TARGET, config=own))
        assert math.isfinite(last.loss)
        assert own.batch_size or last.loss < iterates[0].loss
        samples = Problem(model, SOURCE, TARGET, config, None).samples
        targets = model.encode(TARGET)
        steered, before = samples.rows(targets, last.maps), samples.rows(targets)
        return ((steered - before) / samples.spread).square().mean().item()

    assert moved(True) < 0.7 * moved(False)
    batches = {"batch_size": 3, "micro_batch_size": 2}
    assert moved(True, **batches) < moved(False, **batches)


def test_maps_that_only_shift_leave_every_scale_at_one(model):
    for standardise in (True, False):
        config = replace(EXACT, iterations=60, shift_only=True, standardise=standardise)
        config = replace(config, learning_rate=0.02 if standardise else 1e-3)
        first, *_, last = learn_iter(model, SOURCE, TARGET, config=config)
        assert last.loss < first.loss
        assert all((m.scale == 1).all() for m in last.maps.values())
        assert any((m.shift != 0).any() for m in last.maps.values())


def test_the_reported_loss_is_that_of_the_last_iteration_towards_the_target(model):
    config = replace(EXACT, both_ways=True, identity_loss=True)
    losses = [i.loss for i in learn_iter(model, SOURCE, TARGET, config=config)]
    assert [i for i in range(1, 13) if losses[i] != losses[i - 1]] == [2, 6, 8, 12]
    best = [i.iteration for i in learn_iter(model, SOURCE, TARGET, config=config) if i.best]
    assert best[0] == 0
    assert all(iteration % 6 in (0, 2) for iteration in best)


@pytest.mark.parametrize("standardise", [True, False])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_sparsity_keeps_the_coordinates_that_tell_the_sets_apart(optimizer, standardise):
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randn(2, 256, 6, generator=generator)
    target[:, :2] += 1
    config = replace(
        EXACT, iterations=100, learning_rate=0.1, optimizer=optimizer, standardise=standardise
    )
    maps = [
        learn(_Rows(), list(source), list(target), config=replace(config, sparsity=gamma))["0"]
        for gamma in (0.0, 0.4, 1.0)
    ]
    assert [m.moved.tolist() for m in maps] == [[True] * 6, [True] * 2 + [False] * 4, [False] * 6]
    # The paper's rest where the gradients of the loss 2(1 - b) and the norms γ(1 + √6/√2) cancel;
    # ours, once they are chosen, where the loss alone wants them.
    expected = torch.full((2,), 1.0 if standardise else 1 - 0.4 * (1 + 3**0.5) / 2)
    torch.testing.assert_close(maps[1].shift[:2], expected, atol=0.2, rtol=0)


def test_equal_sets_leave_the_network_as_it_is(model):
    maps = learn(model, SOURCE, SOURCE, config=EXACT)
    assert all((m.scale - 1).abs().max() < 1e-3 for m in maps.values())


@pytest.mark.parametrize("factor", [math.nan, 1e6])
def test_a_step_that_explodes_goes_back_and_halves_the_rate(model, monkeypatch, factor):
    calls = []

    def poisoned(x, y):
        calls.append(len(calls))
        return wasserstein_1d(x, y) * (factor if len(calls) in (4, 5) else 1)

    monkeypatch.setattr(tasks, "wasserstein_1d", poisoned)
    iterates = list(learn_iter(model, SOURCE, TARGET, config=EXACT))
    assert all(math.isfinite(i.loss) for i in iterates)
    assert [i.iteration for i in iterates] == [0, 1, 2, *range(5, 13)]
    undisturbed = 0.02 * 0.5 * (1 + math.cos(math.pi * 5 / 12))
    assert iterates[3].learning_rate == pytest.approx(undisturbed / 4)


def test_a_run_that_keeps_diverging_ends_with_the_best_maps():
    config = replace(EXACT, iterations=300, optimizer="sgd", learning_rate=10, standardise=False)
    scaled = tiny_language_model()
    for name in scaled.default_modules:
        scaled.network.get_submodule(name).weight.data.mul_(1e12)
    with pytest.raises(UserError, match="diverged at iteration"):
        list(learn_iter(scaled, SOURCE, TARGET, config=config))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        maps = learn(scaled, SOURCE, TARGET, config=config)
    assert any("best maps so far" in str(w.message) for w in caught)
    assert all(m.scale.isfinite().all() for m in maps.values())
    assert maps.metadata["diverged"]
    # Interrupted and resumed, nothing may have been better than before: that is not lost.
    states = []
    with pytest.warns(UserWarning, match="best maps so far"):
        learn(scaled, SOURCE, TARGET, config=config, watch=lambda it: states.append(it.state))
    for state in (states[0], states[-1]):
        with pytest.warns(UserWarning, match="best maps so far"):
            again = learn(scaled, SOURCE, TARGET, config=config, resume=state)
        assert all((again[name].shift == maps[name].shift).all() for name in maps)


def test_a_dead_coordinate_is_shifted_and_never_divided_by():
    model = _Columns()
    model.network[0].weight.data[2] = 0
    source, target = torch.randn(8, 6), torch.randn(8, 6)
    maps = learn(model, list(source), list(target), config=EXACT)
    assert maps["0"].scale.isfinite().all()
    assert maps["0"].scale[2] == 1


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("iterations", 0),
        ("iterations", -1),
        ("iterations", 2.5),
        ("learning_rate", math.nan),
        ("learning_rate", 0),
        ("learning_rate", math.inf),
        ("learning_rate", 1e9),
        ("learning_rate", "abc"),
        ("learning_rate", None),
        ("sparsity", -1),
        ("sparsity", math.nan),
        ("batch_size", 0),
        ("batch_size", True),
        ("seed", -1),
        ("heldout_every", 0),
        ("optimizer", "lbfgs"),
        ("pooling", "median"),
        ("precision", "float8"),
        ("standardise", "yes"),
    ],
)
def test_a_setting_out_of_range_names_the_range(setting, value):
    with pytest.raises(UserError, match=rf"{setting} is .*\. Give "):
        LearnConfig(**{setting: value})


@pytest.mark.parametrize(("source", "target"), [([], TARGET), (SOURCE, ["one"])])
def test_fewer_than_two_prompts_are_refused(model, source, target):
    with pytest.raises(UserError, match="Give at least 2"):
        next(learn_iter(model, source, target, config=EXACT))


def test_resuming_with_other_modules_is_refused(model):
    state = next(learn_iter(model, SOURCE, TARGET, config=EXACT)).state
    with pytest.raises(UserError, match="other modules"):
        next(
            learn_iter(
                model,
                SOURCE,
                TARGET,
                config=EXACT,
                modules=model.default_modules[:1],
                resume=state,
            )
        )


def test_the_maps_say_how_they_were_made(model):
    last = _final(learn_iter(model, SOURCE, TARGET, config=EXACT, heldout=(SOURCE, TARGET)))
    facts = last.maps.metadata
    assert facts["iteration"] == 12
    assert facts["loss"] < facts["loss_start"]
    assert facts["heldout"] < facts["heldout_start"]
    assert facts["config"]["optimizer"] == "adam"
    assert facts["source_size"] == 8


class _Idle(nn.Module):
    """Two LayerNorms, of which the second runs for rows that begin with a large number."""

    def __init__(self):
        super().__init__()
        self.always, self.rarely, self.never = (nn.LayerNorm(6) for _ in range(3))

    def forward(self, z):
        z = self.always(z) + z
        return self.rarely(z) if z[..., 0].max() > 100 else z


def test_modules_that_do_not_run_are_named_unless_nobody_asked_for_them():
    model, rows = _Columns(), list(torch.randn(4, 6))
    model.network = _Idle().requires_grad_(False)
    model.default_modules = ["always", "rarely"]
    for modules in (None, model.default_modules, ["always"]):  # as in a mixture of experts
        assert [*learn(model, rows, rows, config=EXACT, modules=modules)] == ["always"]
    for modules in (["never"], ["always", "never"], ["rarely"]):
        with pytest.raises(UserError, match=f"1 of {len(modules)} .*{modules[-1]}"):
            next(learn_iter(model, rows, rows, config=EXACT, modules=modules))
    model.default_modules = ["rarely"]
    with pytest.raises(UserError, match="1 of 1 modules do not run in this network"):
        learn(model, rows, rows, config=EXACT)


def test_after_a_divergence_the_selected_coordinates_stay_selected():
    config = replace(EXACT, iterations=40, sparsity=0.5, learning_rate=0.1)
    gradient = torch.tensor([[0.0] * 6, [5.0, -5.0, 0.001, 0.0, 4.0, 0.0]])

    def started():
        descent = Descent(torch.zeros(2, 6), [6], config)
        descent.note(0, 1.0, None)
        descent.keep_if_best()  # nothing is better than the identity, as batches differ
        for iteration in range(12):
            descent.step(gradient, iteration)
        return descent

    descent = started()
    selected = descent.parameters != 0
    assert 0 < selected.sum() < 12
    descent.fall_back(12, "a")
    assert not descent.parameters.any()
    resumed = Descent(torch.zeros(2, 6), [6], config)
    assert resumed.restore(descent.state(13)) == 13
    for each in (descent, resumed):
        for iteration in range(13, 40):
            each.step(gradient, iteration)
        assert torch.equal(each.parameters != 0, selected)
    assert torch.equal(descent.parameters, resumed.parameters)


def test_a_mini_batch_has_as_many_rows_of_either_side():
    model, drawn = tiny_language_model(), []

    def rows_of(x, y):
        drawn.append((len(x), len(y)))
        return wasserstein_1d(x, y)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks, "wasserstein_1d", rows_of)
        learn(model, SOURCE, TARGET[:3], config=replace(EXACT, iterations=1, batch_size=4))
    assert drawn == [(4, 3), (4, 3)]


@pytest.mark.parametrize("iterations", [2, 12])
def test_activations_that_are_not_finite_at_the_start_are_named(iterations):
    model = tiny_language_model()
    model.network.model.layers[1].post_attention_layernorm.weight.fill_(math.inf)
    with pytest.raises(UserError, match=r"layers.1.post_attention_layernorm are not finite"):
        learn(model, SOURCE, TARGET, config=replace(EXACT, iterations=iterations))


def test_settings_of_another_method_are_refused(model):
    with pytest.raises(UserError, match="the settings for lineas are a FitConfig"):
        learn(model, SOURCE, TARGET, config=FitConfig())


def test_short_memory_is_no_divergence(model, monkeypatch):
    calls = []

    def short(x, y):
        calls.append(0)
        if len(calls) > 4:
            raise MemoryError
        return wasserstein_1d(x, y)

    monkeypatch.setattr(tasks, "wasserstein_1d", short)
    with pytest.raises(UserError, match="not enough memory"):
        learn(model, SOURCE, TARGET, config=EXACT)


@pytest.mark.parametrize("changes", [{"both_ways": True}, {"identity_loss": True}])
def test_a_mini_batch_of_positions_is_that_of_its_prompts(model, changes):
    config = replace(EXACT, pooling="all", batch_size=len(SOURCE), iterations=2, **changes)
    losses = [
        iterate.loss
        for sides in ((SOURCE, SOURCE), (SOURCE, [*SOURCE, *TARGET]))
        for iterate in learn_iter(model, *sides, config=config)
    ]
    assert losses[:3] == pytest.approx([0, 0, 0], abs=1e-6)
    assert losses[3] > 0
    kept = replace(config, batch_size=4)
    one, other = (learn(model, SOURCE, TARGET, config=replace(kept, seed=seed)) for seed in (0, 7))
    assert any((one[name].shift != other[name].shift).any() for name in one)
