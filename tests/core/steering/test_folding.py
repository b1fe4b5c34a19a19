from copy import deepcopy

import pytest
import torch
from torch import nn
from transformers import (
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    NemotronConfig,
    NemotronForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from lineas_core import AffineMap, SteeringMaps, compose, find_modules, fold, record, steer
from tests.tolerance import TEXT_NETWORK, tolerance

SMALL = {
    "vocab_size": 50,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
}
FAMILIES = {
    "llama": (LlamaForCausalLM, LlamaConfig),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config),
    "gemma2": (Gemma2ForCausalLM, Gemma2Config),
    "gemma3": (Gemma3ForCausalLM, Gemma3TextConfig),
    "nemotron": (NemotronForCausalLM, NemotronConfig),  # LayerNorm with weight + 1
}


def _network(family):
    torch.manual_seed(0)
    kind, config = FAMILIES[family]
    network = kind(config(**SMALL)).eval().requires_grad_(False)
    for name, parameter in network.named_parameters():
        if "norm" in name:
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def _maps(network, names):
    widths = {name: len(network.get_submodule(name).weight) for name in names}
    return SteeringMaps(
        {
            name: AffineMap(1 + 0.4 * torch.rand(d), 0.4 * torch.randn(d))
            for name, d in widths.items()
        }
    )


def _snapshot(network):
    modules = {name: id(module) for name, module in network.named_modules()}
    parameters = {name: (id(p), p.clone()) for name, p in network.named_parameters()}
    return modules, parameters


@pytest.mark.parametrize("strength", [-1.0, -0.5, 0.3, 1.0])
@pytest.mark.parametrize("preset", ["post-layernorms", "all-layernorms", "attention-output"])
@pytest.mark.parametrize("family", FAMILIES)
def test_folded_equals_hooked_on_every_family(family, preset, strength):
    network = _network(family)
    maps = _maps(network, find_modules(network, preset))
    ids = torch.arange(12).view(2, 6)
    with steer(network, maps, strength):
        hooked = network(ids).logits
    with fold(network, maps, strength):
        assert not any(module._forward_hooks for module in network.modules())
        folded = network(ids).logits
    torch.testing.assert_close(folded, hooked, **tolerance(terms=TEXT_NETWORK))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.LayerNorm(6), (2, 5, 6)),
        (nn.LayerNorm(6, bias=False), (2, 5, 6)),
        (nn.GroupNorm(3, 6), (2, 6, 4, 4)),
        (nn.Linear(5, 6, bias=False), (2, 3, 5)),
        (nn.Conv2d(5, 6, 3), (2, 5, 7, 7)),
    ],
)
def test_folded_equals_hooked_on_every_kind_of_module(module, shape):
    network = nn.Sequential(module).requires_grad_(False)
    maps = SteeringMaps({"0": AffineMap(torch.randn(6), torch.randn(6))})
    z = torch.randn(shape)
    with steer(network, maps, 0.7):
        hooked = network(z)
    with fold(network, maps, 0.7):
        assert not module._forward_hooks
        torch.testing.assert_close(network(z), hooked, **tolerance(terms=128))


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.LayerNorm(6), (2, 5, 6)),
        (nn.LayerNorm(6, bias=False), (2, 5, 6)),
        (nn.GroupNorm(3, 6), (2, 6, 4, 4)),
        (nn.RMSNorm(6), (2, 5, 6)),
        (nn.Linear(5, 6, bias=False), (2, 3, 5)),
    ],
)
def test_folded_equals_hooked_in_double_precision(module, shape):
    network = nn.Sequential(module).requires_grad_(False).double()
    maps = SteeringMaps({"0": AffineMap(torch.randn(6), torch.randn(6))})
    z = torch.randn(shape).double()
    with steer(network, maps, 0.7):
        hooked = network(z)
    with fold(network, maps, 0.7):
        assert not module._forward_hooks
        torch.testing.assert_close(network(z), hooked)


class _Doubled(nn.Linear):
    """A linear layer by its class, but not by what it computes."""

    runs = 0

    def forward(self, z):
        self.runs += 1
        return 2 * super().forward(z)


def test_a_module_that_would_fold_to_something_else_is_hooked_and_probed_once():
    network = nn.Sequential(_Doubled(4, 4)).requires_grad_(False)
    maps = SteeringMaps({"0": AffineMap(torch.rand(4), torch.randn(4))})
    z = torch.randn(2, 4)
    with steer(network, maps):
        expected = network(z)
    for _ in range(3):
        before = network[0].runs
        with fold(network, maps):
            assert network[0].runs == before
            torch.testing.assert_close(network(z), expected, **tolerance(terms=16))


def test_a_network_that_reads_attributes_of_a_folded_norm_finds_them():
    torch.manual_seed(0)
    config = MambaConfig(vocab_size=50, hidden_size=32, state_size=4, num_hidden_layers=2)
    network = MambaForCausalLM(config).eval().requires_grad_(False)
    maps = _maps(network, find_modules(network, r".*\.norm"))
    ids = torch.arange(12).view(2, 6)
    with steer(network, maps):
        hooked = network(ids).logits
    with fold(network, maps):
        assert not any(module._forward_hooks for module in network.modules())
        assert network.backbone.layers[0].norm.variance_epsilon == 1e-5
        folded = network(ids).logits
    torch.testing.assert_close(folded, hooked, **tolerance(terms=TEXT_NETWORK))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_network_comes_back_untouched_after_a_thousand_moves_and_an_exception(family):
    network = _network(family)
    maps = _maps(network, find_modules(network, "all-layernorms"))
    modules, parameters = _snapshot(network)
    for step in range(1000):
        with fold(network, maps, step / 500 - 1):
            pass
    with pytest.raises(RuntimeError), fold(network, maps, 0.5):
        raise RuntimeError
    modules_after, parameters_after = _snapshot(network)
    assert modules_after == modules
    assert parameters_after.keys() == parameters.keys()
    for name, (identity, value) in parameters.items():
        assert parameters_after[name][0] == identity
        assert torch.equal(parameters_after[name][1], value)


def test_strength_zero_exchanges_nothing():
    network = _network("llama")
    before = _snapshot(network)[0]
    with fold(network, _maps(network, find_modules(network, "post-layernorms")), 0.0):
        assert _snapshot(network)[0] == before
        assert not any(module._forward_hooks for module in network.modules())


def test_what_cannot_be_folded_exactly_is_hooked():
    network = nn.Sequential(nn.LayerNorm(4), nn.Linear(4, 4).to(torch.bfloat16))
    maps = SteeringMaps({str(i): AffineMap.identity(4) for i in range(2)})
    with fold(network, maps, 0.5):
        assert not network[0]._forward_hooks
        assert network[1]._forward_hooks
    with fold(network, maps, [0.5, 1.0]):
        assert network[0]._forward_hooks


@pytest.mark.parametrize(
    ("norm", "shape"),
    [
        (nn.LayerNorm(6), (2, 5, 6)),
        (nn.LayerNorm(6, bias=False), (2, 5, 6)),
        (nn.GroupNorm(3, 6), (2, 6, 4, 4)),
    ],
)
def test_norms_in_reduced_precision_are_folded_without_rounding_the_map(norm, shape):
    network = nn.Sequential(norm.to(torch.bfloat16))
    maps = SteeringMaps({"0": AffineMap(1 + torch.randn(6), torch.randn(6))})
    z = torch.randn(shape).to(torch.bfloat16)
    with fold(network, maps, 0.3):
        assert not any(module._forward_hooks for module in network.modules())
        folded = network(z)
        with steer(network, maps, 0.0), record(network, ["0"]) as kept:
            network(z)
    assert network[0] is norm
    assert {p.dtype for p in norm.parameters()} == {torch.bfloat16}
    with steer(nn.Sequential(exact := deepcopy(norm).float()), maps, 0.3):
        expected = exact(z.float())
    torch.testing.assert_close(folded.float(), expected, rtol=2**-8, atol=1e-5)
    assert torch.equal(kept["0"], folded)


def test_a_compiled_network_in_reduced_precision_is_hooked():
    network = nn.Sequential(nn.LayerNorm(4).to(torch.bfloat16))
    network.compile(backend="eager")
    with fold(network, SteeringMaps({"0": AffineMap.identity(4)}), 0.5):
        assert network[0]._forward_hooks
    assert not network[0]._forward_hooks


def test_composed_maps_with_a_strength_for_each_row_are_hooked():
    network, ids = _network("llama"), torch.randint(0, 50, (3, 5))
    maps = _maps(network, find_modules(network, "all-layernorms"))
    rows = compose([maps, maps], [[0.0, 0.5, 1.0], [0.0, -0.5, 0.3]])
    with torch.no_grad(), fold(network, rows):
        together = network(ids).logits
    for row, (first, second) in enumerate([(0.0, 0.0), (0.5, -0.5), (1.0, 0.3)]):
        with torch.no_grad(), fold(network, compose([maps, maps], [first, second])):
            alone = network(ids[row : row + 1]).logits
        torch.testing.assert_close(together[row], alone[0], **tolerance(terms=TEXT_NETWORK))


@pytest.mark.parametrize("family", FAMILIES)
def test_what_folds_inside_another_steering_acts_after_it(family):
    network = _network(family)
    names = find_modules(network, "post-layernorms")
    first, then = _maps(network, names), _maps(network, names)
    ids = torch.arange(8).view(2, 4)
    with steer(network, compose([first, then], [0.5, 1.0])):
        expected = network(ids).logits
    with steer(network, first, 0.5), fold(network, then):
        limits = tolerance(terms=TEXT_NETWORK)
        torch.testing.assert_close(network(ids).logits, expected, **limits)


def test_what_folds_while_another_records_leaves_the_recording_to_the_pass():
    network = _network("llama")
    names, ids = find_modules(network, "post-layernorms"), torch.arange(8).view(2, 4)
    maps = _maps(network, names)
    with record(network, names) as expected, steer(network, maps):
        network(ids)
    with record(network, names) as activations, fold(network, maps):
        network(ids)
    for name in names:
        limits = tolerance(terms=TEXT_NETWORK)
        torch.testing.assert_close(activations[name], expected[name], **limits)
