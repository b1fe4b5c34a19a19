"""LoFIT-RL: a bias for every attention head, learnt from a judge (LinEAS, section I).

    T(z) = z + W v

v        biases of all heads of a layer side by side, at the input of the output projection, (k,)
W        weight of that projection, (d, k); z is its output, so that the map is a shift

Yin et al., 2024, "LoFiT: localized fine-tuning on LLM representations".

Differs from LoFiT: it first selects some of the heads; the parameters that LinEAS counts in
Table 7 are those of all heads, or twice as many. Pass the output projections of some layers as
`modules` to train fewer. How the judge is learnt from: see `lineas_core.methods.oracle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.methods.oracle import Adapter, OracleConfig, oracle
from lineas_core.steering.affine import AffineMap, SteeringMaps
from lineas_core.steering.hooks import path_to

__all__ = ["METHOD", "learn"]


class _Heads(nn.Linear):
    """The outputs of all heads, as they are: a linear layer so that peft gives it a bias."""

    def __init__(self, width: int, like: Tensor) -> None:
        nn.Module.__init__(self)  # that of a linear layer would allocate a weight
        self.in_features = self.out_features = width
        self.weight = nn.Parameter(like.new_zeros(1), requires_grad=False)
        self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - as in torch
        return input


def _prepare(network: nn.Module, names: Sequence[str], config: OracleConfig) -> Any:  # noqa: ARG001
    from peft import BeftConfig

    for name in names:
        *_, parent, projection = path_to(network, name)
        if not isinstance(projection, nn.Linear):
            raise UserError(
                "E_MODULES",
                f"{name} is not a linear layer",
                remedy="Choose output projections of attention, the preset attention-output.",
            )
        heads = _Heads(projection.in_features, projection.weight)
        setattr(parent, name.rpartition(".")[2], nn.Sequential(heads, projection))
    return BeftConfig(target_modules=[f"{name}.0" for name in names], task_type="CAUSAL_LM")


def _read(network: nn.Module, names: Sequence[str]) -> SteeringMaps:
    maps = {}
    for name in names:
        pair: Any = network.get_submodule(name)
        bias = pair[0].beft_bias["default"].to(torch.float32).view(-1)
        shift = pair[1].weight.to(torch.float32) @ bias
        maps[name] = AffineMap(torch.ones_like(shift), shift)
    return SteeringMaps(maps)


METHOD = oracle(
    "lofit-rl",
    "LoFIT-RL: biases on attention heads, learnt from a judge of insults; texts only.",
    Adapter("attention-output", _prepare, _read),
    OracleConfig(),
)
learn = METHOD.learn
