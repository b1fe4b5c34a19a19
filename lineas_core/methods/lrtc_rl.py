"""LRTC-RL: a LoRA adapter of the attention, learnt from a judge (LinEAS, section I).

    T(z) = z + α/r B A x

x        input of a projection to queries, keys, values or output of the attention, (k,)
z        its output, (d,)
A, B     (r, k) and (d, r); α is 8, the default of peft

Hu et al., 2022, "LoRA: low-rank adaptation of large language models". The strength λ multiplies
the adapter; λ < 0 subtracts it. How the judge is learnt from: see `lineas_core.methods.oracle`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from lineas_core.errors import UserError
from lineas_core.methods.oracle import Adapter, OracleConfig, oracle
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.low_rank import LowRankMap

__all__ = ["METHOD", "LrtcConfig", "learn"]


@dataclass(frozen=True)
class LrtcConfig(OracleConfig):
    """Settings of LRTC-RL, in addition to those of `OracleConfig`.

    Attributes:
        rank: rank r of the adapter, 1 to 256.

    Raises:
        UserError: a value is out of range.
    """

    learning_rate: float = 0.001
    rank: int = 2


def _prepare(network: nn.Module, names: Sequence[str], config: LrtcConfig) -> Any:
    from peft import LoraConfig

    for name in names:
        if not isinstance(network.get_submodule(name), nn.Linear):
            raise UserError(
                "E_MODULES",
                f"{name} is not a linear layer",
                remedy=rf"Choose projections of attention, such as {_PROJECTIONS!r}.",
            )
    return LoraConfig(r=config.rank, target_modules=[*names], task_type="CAUSAL_LM")


def _read(network: nn.Module, names: Sequence[str]) -> SteeringMaps:
    maps = {}
    for name in names:
        layer: Any = network.get_submodule(name)
        down = layer.lora_A["default"].weight.to(torch.float32)
        up = layer.scaling["default"] * layer.lora_B["default"].weight.to(torch.float32)
        maps[name] = LowRankMap(up, down, down.new_zeros(len(down)), reads_input=True)
    return SteeringMaps(maps)


_PROJECTIONS = r".*[qkvo]_proj"
METHOD = oracle(
    "lrtc-rl",
    "LRTC-RL: a LoRA adapter of the attention, learnt from a judge of insults; texts only.",
    Adapter(_PROJECTIONS, _prepare, _read),
    LrtcConfig(),
)
learn = METHOD.learn
