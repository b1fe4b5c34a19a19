import pytest
import torch
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from lineas_core import AffineMap, SteeringMaps, UserError
from lineas_core.models.checkpoint import readers_of
from lineas_core.steering.baking import bake

NORM = "model.layers.0.input_layernorm"


class _Quantised(nn.Linear):
    """A linear layer that keeps its weight as other libraries do, and computes as before."""

    def __init__(self, linear, stored):
        super().__init__(linear.in_features, linear.out_features, bias=False)
        self.linear = [linear]
        del self.weight
        if stored is not None:
            self.weight = nn.Parameter(stored, requires_grad=False)

    def forward(self, z):
        return self.linear[0](z)


@pytest.mark.parametrize(
    "stored",
    [
        None,  # as GPTQ and AWQ, under another name
        torch.zeros(128, 1, dtype=torch.uint8),  # as bitsandbytes in 4 bits
        torch.zeros(16, 16, dtype=torch.int8),
        torch.zeros(16, 16, dtype=torch.float8_e4m3fn),  # with a scale beside it
    ],
)
def test_a_shift_is_not_baked_where_a_quantised_layer_reads_it(stored):
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
    )
    network = LlamaForCausalLM(config).eval().requires_grad_(False)
    maps = SteeringMaps({NORM: AffineMap(torch.ones(16), torch.ones(16))})
    assert len(bake(network, maps, readers_of(network))) == 4  # the norm, and biases of q, k, v
    attention = network.model.layers[0].self_attn
    attention.q_proj = _Quantised(attention.q_proj, stored)
    with pytest.raises(UserError, match=r"q_proj \(_Quantised\), which reads .*input_layernorm"):
        bake(network, maps, readers_of(network))
    scaling = SteeringMaps({NORM: AffineMap(torch.full((16,), 2.0), torch.zeros(16))})
    assert [*bake(network, scaling, readers_of(network))] == [f"{NORM}.weight"]
