from contextlib import suppress

import pytest
import torch
from torch import nn

from lineas_core import (
    AffineMap,
    SteeringMaps,
    UserError,
    compose,
    find_modules,
    fold,
    record,
    steer,
)
from lineas_core.steering.hooks import Complete
from tests.fakes import tiny_language_model
from tests.tolerance import TEXT_NETWORK, tolerance

NEAR = tolerance(terms=TEXT_NETWORK)


@pytest.fixture(scope="module")
def model():
    return tiny_language_model()


def _maps(model, seed=0):
    generator = torch.Generator().manual_seed(seed)
    width = model.network.config.hidden_size
    return SteeringMaps(
        {
            name: AffineMap(
                1 + 0.3 * torch.rand(width, generator=generator),
                0.3 * torch.randn(width, generator=generator),
            )
            for name in model.default_modules
        }
    )


def _logits(model, prompts=("a b c",)):
    with torch.no_grad():
        return model.forward(model.encode(prompts))


def _hooks(network):
    return sum(len(module._forward_hooks) for module in network.modules())


def test_steering_at_zero_strength_is_bit_equal_and_registers_nothing(model):
    plain = _logits(model)
    with steer(model.network, _maps(model), 0.0):
        assert _hooks(model.network) == 0
        assert torch.equal(_logits(model), plain)


@pytest.mark.parametrize("part", ["", "model.layers.0", "model.layers.0.post_attention_layernorm"])
def test_a_network_that_was_compiled_before_is_steered_and_recorded_all_the_same(model, part):
    maps, names = _maps(model), model.default_modules
    with steer(model.network, maps), record(model.network, names) as expected:
        steered = _logits(model)
    compiled = tiny_language_model()
    compiled.network.get_submodule(part).compile(backend="eager")
    plain = _logits(compiled)  # compiled now, without hooks
    with steer(compiled.network, maps), record(compiled.network, names) as kept:
        torch.testing.assert_close(_logits(compiled), steered, **NEAR)
    assert kept.keys() == expected.keys()
    with fold(compiled.network, maps):
        torch.testing.assert_close(_logits(compiled), steered, **NEAR)
    assert torch.equal(_logits(compiled), plain)


def _wrapped(network):
    return torch.compile(network, backend="eager")


def _wrapped_blocks(network):
    for number, block in enumerate(network.model.layers):
        network.model.layers[number] = torch.compile(block, backend="eager")
    return network


def _wrapped_forward(network):
    network.forward = torch.compile(network.forward, backend="eager")
    return network


@pytest.mark.parametrize("wrap", [_wrapped, _wrapped_blocks, _wrapped_forward])
@pytest.mark.parametrize("strength", [1.0, [0.5]])
def test_whatever_torch_compile_returned_is_steered_and_keeps_its_names(model, wrap, strength):
    maps, names = _maps(model), model.default_modules
    ids = torch.tensor([[3, 1, 4, 1, 5]])
    with torch.no_grad(), steer(model.network, maps, strength):
        steered = model.network(ids).logits
    compiled = wrap(tiny_language_model().network)
    assert find_modules(compiled, "post-layernorms") == names
    with torch.no_grad():
        plain = compiled(ids).logits  # compiled now, without hooks
        for steering in (steer, fold):
            with steering(compiled, maps, strength):
                torch.testing.assert_close(compiled(ids).logits, steered, **NEAR)
        with record(compiled, names) as kept:
            compiled(ids)
        assert kept.keys() == set(names)
        assert torch.equal(compiled(ids).logits, plain)


def test_blocks_of_two_threads_that_overlap_leave_compiled_code_compiled(model):
    maps, compiled = _maps(model), []
    function = torch.compile(lambda x: x + 1, backend=lambda graph, _: compiled.append(1) or graph)
    first, second = (steer(tiny_language_model(seed).network, maps) for seed in (0, 1))
    first.__enter__()
    with second:
        first.__exit__(None, None, None)
        function(torch.ones(2))
        assert not compiled
    function(torch.ones(2))
    assert compiled


def test_steering_that_begins_in_a_compiled_function_is_refused(model):
    maps, ids = _maps(model), torch.tensor([[3, 1, 4, 1, 5]])

    @torch.compile(backend="eager")
    def steered():
        with steer(model.network, maps):
            return model.network(ids)

    with pytest.raises(UserError, match="inside a compiled function"):
        steered()


def test_row_of_strength_zero_is_bit_equal_beside_steered_rows(model):
    prompts = ["a b c", "a b c"]
    plain = _logits(model, prompts)
    with steer(model.network, _maps(model), [0.0, 1.0]):
        steered = _logits(model, prompts)
    assert torch.equal(steered[0], plain[0])
    assert not torch.allclose(steered[1], plain[1])


def test_batch_of_mixed_strengths_equals_single_runs(model):
    strengths = [-1.0, -0.3, 0.0, 0.5, 1.0]
    with steer(model.network, _maps(model), strengths):
        together = _logits(model, ["a b c"] * 5)
    for row, strength in enumerate(strengths):
        with steer(model.network, _maps(model), strength):
            alone = _logits(model)
        torch.testing.assert_close(together[row], alone[0], **NEAR)


def test_nested_steering_equals_composition(model):
    first, second = _maps(model, 1), _maps(model, 2)
    with steer(model.network, first, 0.7), steer(model.network, second, -0.4):
        nested = _logits(model)
    with steer(model.network, compose([first, second], [0.7, -0.4])):
        torch.testing.assert_close(_logits(model), nested, **NEAR)


def test_hooks_are_gone_after_an_exception(model):
    plain = _logits(model)
    with pytest.raises(RuntimeError, match="boom"), steer(model.network, _maps(model), 1.0):
        raise RuntimeError("boom")
    assert _hooks(model.network) == 0
    assert torch.equal(_logits(model), plain)


def test_an_exception_inside_the_pass_leaves_no_hook_behind(model):
    plain = _logits(model)
    wrong = SteeringMaps({model.default_modules[0]: AffineMap.identity(3)})
    with pytest.raises(UserError, match="coordinates, the map has 3"), steer(model.network, wrong):
        _logits(model)
    assert torch.equal(_logits(model), plain)


def test_recording_sees_what_steering_made(model):
    name = model.default_modules[0]
    maps = SteeringMaps({name: _maps(model)[name]})
    with record(model.network, [name]) as plain:
        _logits(model)
    with steer(model.network, maps), record(model.network, [name]) as steered:
        _logits(model)
    expected = maps[name].scale * plain[name] + maps[name].shift
    torch.testing.assert_close(steered[name], expected)


def test_stopping_after_the_last_module_skips_what_follows(model):
    reached = []
    handle = model.network.lm_head.register_forward_pre_hook(lambda *_: reached.append(True))
    with record(model.network, model.default_modules, stop=True) as activations:
        _logits(model)
        reached.append("the rest of the block")
    handle.remove()
    assert list(activations) == model.default_modules
    assert reached == []
    assert _hooks(model.network) == 0


def test_who_suppresses_the_end_of_a_pass_goes_on_under_the_hooks(model):
    with record(model.network, model.default_modules, stop=True) as activations:
        with suppress(Complete):
            _logits(model)
        first = dict(activations)
        assert _hooks(model.network) == len(first) == len(model.default_modules)
        _logits(model, ["c b a"])  # as when a block is computed again: nothing new is kept
    assert all(activations[name] is first[name] for name in first)
    assert _hooks(model.network) == 0


def test_channels_first_outputs_are_steered_per_channel():
    network = nn.Sequential(nn.GroupNorm(2, 4))
    step = AffineMap(torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.arange(4.0))
    z = torch.randn(2, 4, 3, 3)
    with steer(network, SteeringMaps({"0": step})):
        steered = network(z)
    expected = step.scale.view(1, 4, 1, 1) * network(z) + step.shift.view(1, 4, 1, 1)
    torch.testing.assert_close(steered, expected)


def test_reduced_precision_activations_keep_their_dtype():
    network = nn.Sequential(nn.LayerNorm(4)).to(torch.bfloat16)
    with steer(network, SteeringMaps({"0": AffineMap.identity(4)}), 0.5):
        assert network(torch.randn(2, 3, 4, dtype=torch.bfloat16)).dtype == torch.bfloat16


def test_presets_and_patterns_find_the_same_modules(model):
    assert find_modules(model.network, "post-layernorms") == [
        "model.layers.0.post_attention_layernorm",
        "model.layers.1.post_attention_layernorm",
    ]
    assert find_modules(model.network, r".*o_proj") == find_modules(
        model.network, "attention-output"
    )


def test_an_unknown_preset_names_the_closest(model):
    with pytest.raises(UserError, match="post-layernorms"):
        find_modules(model.network, "post-layernorm")


def test_a_broken_pattern_is_one_sentence(model):
    with pytest.raises(UserError, match="not a regular expression"):
        find_modules(model.network, "*norm(")


def test_a_missing_module_names_the_closest(model):
    maps = SteeringMaps({"model.layers.7.post_attention_layernorm": AffineMap.identity(32)})
    with (
        pytest.raises(UserError, match=r"model\.layers\.\d\.post_attention_layernorm"),
        steer(model.network, maps),
    ):
        pass


def test_a_wrong_number_of_strengths_is_refused(model):
    with (
        pytest.raises(UserError, match="3 strengths came with a batch of 1"),
        steer(model.network, _maps(model), [0.1, 0.2, 0.3]),
    ):
        _logits(model)


def test_a_module_without_one_activation_is_refused(model):
    names = ["model.layers.0.self_attn"]
    sentence = "self_attn returns a tuple, not one tensor"
    with pytest.raises(UserError, match=sentence), record(model.network, names):
        model.forward(model.encode(["a b c"]))


def test_whole_blocks_are_found_where_no_module_inside_them_is_meant(model):
    blocks = find_modules(model.network, r"model\.layers\.\d+")
    assert blocks == ["model.layers.0", "model.layers.1"]
    assert find_modules(model.network, ".*o_proj") == find_modules(
        model.network, "attention-output"
    )
    with record(model.network, blocks) as samples:
        model.forward(model.encode(["a b c"]))
    assert [*samples] == blocks


def test_a_preset_that_nothing_fits_names_modules_there_are():
    with pytest.raises(UserError, match="The closest are .*ln_1"):
        find_modules(nn.ModuleDict({"ln_1": nn.LayerNorm(4)}), "attention-output")
