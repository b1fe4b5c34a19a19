"""ReFT: change the activations in a few directions, so that target prompts become likely.

    T(h) = h + Rᵀ(W h + b - R h)

h        activation, (d,)
R, W, b  (r, d), (r, d) and (r,); the rows of R are orthonormal

LoReFT of Wu et al., 2024, "ReFT: representation finetuning for language models". R, W and b of
all modules together minimise the cross-entropy of the tokens of target prompt k after source
prompt k, with AdamW and a rate that falls to 0 along a line.

Differs from the paper:
- The map acts on every token, as steering does; ReFT chooses positions in the prompt.
- It starts at the identity, W = R and b = 0; ReFT starts with a random W.
- LinEAS, section 4.1, trains it for 10 epochs without naming rank, rate and batch. Here each epoch
  is one step on all prompts, as its Table 4 counts. With rank 4, the default of the authors' code,
  a block has 8d + 4 parameters; Table 7 counts 9d.
- ReFT is made for pairs, which these prompts are not. LinEAS does not say how they are paired;
  here line by line, with the shorter side repeated.

ReFT changes the residual stream: pass the names of the blocks as `modules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from lineas_core.errors import UserError
from lineas_core.learning.config import FitConfig, check_settings
from lineas_core.learning.facts import describe_run, heldout_distance
from lineas_core.learning.samples import UNTOUCHED, Samples
from lineas_core.methods.method import Method, check_model
from lineas_core.models.base import Inputs
from lineas_core.models.language import LanguageModel
from lineas_core.models.likelihood import MAX_LOGITS
from lineas_core.steering.affine import SteeringMaps
from lineas_core.steering.hooks import steer
from lineas_core.steering.low_rank import LowRankMap

__all__ = ["METHOD", "ReftConfig", "learn"]


_MAX_HALVINGS = 5  # of the learning rate
_GROWN = 1.2  # times the first loss; a run does not come back from there in its few steps


@dataclass(frozen=True)
class ReftConfig(FitConfig):
    """Settings of ReFT.

    Attributes:
        rank: number of directions r of each map, 1 to 256, at most the coordinates of a module.
        epochs: number of steps, each on all prompts, 1 to 10,000.
        learning_rate: initial rate of AdamW, 1e-8 to 10; halved if the loss grows, see `halvings`
            in the metadata of the maps.
        seed: whole number, 0 to 2**53; it determines the first directions.

    Raises:
        UserError: a value is out of range.
    """

    rank: int = 4
    epochs: int = 10
    learning_rate: float = 0.004
    seed: int = 0


def learn(
    model: LanguageModel,
    source: Sequence[str],
    target: Sequence[str],
    *,
    config: ReftConfig = ReftConfig(),  # noqa: B008 - frozen
    modules: Sequence[str] | str | None = None,
    heldout: tuple[Sequence[str], Sequence[str]] | None = None,
) -> SteeringMaps:
    """Learn low-rank maps; arguments and errors as in `lineas_core.learn`.

    Returns:
        A `LowRankMap` for each module, with the orthonormal rows of R as the columns of `up`.
    """
    check_settings(config, ReftConfig, METHOD.name)
    check_model(METHOD, model)
    samples = Samples(model, source, target, config, modules)
    _check_rank(samples, config.rank)
    evaluate = heldout_distance([samples], heldout)
    maps, losses, halvings = _descend(samples, _Pairs(model, source, target), config)
    facts = describe_run(model, samples, METHOD.name)
    facts |= {"loss_start": losses[0], "loss": losses[-1], "halvings": halvings}
    if evaluate:
        facts |= {"heldout_start": evaluate(UNTOUCHED), "heldout": evaluate(maps)}
    return SteeringMaps(maps.maps, facts)


class _Pairs:
    """Source and target prompts on two lines.

    Attributes:
        inputs: the encoded pairs, n of them.
        scored: mask of the tokens of the target prompts, bool (n, t - 1), without the first
            token, which has nothing before it.
        at_once: pairs that pass together, so that their logits fit into memory.
    """

    def __init__(self, model: LanguageModel, source: Sequence[str], target: Sequence[str]) -> None:
        count = max(len(source), len(target))
        openings = [f"{source[k % len(source)]}\n" for k in range(count)]
        texts = [first + target[k % len(target)] for k, first in enumerate(openings)]
        self.inputs = model.encode(texts)
        mask = self.inputs.arguments["attention_mask"][:, 1:].bool()
        starts = torch.tensor([len(model.tokenizer(text)["input_ids"]) for text in openings])
        positions = torch.arange(1, mask.shape[1] + 1, device=mask.device)
        self.scored = mask & (positions >= starts.to(mask.device).unsqueeze(1))
        if not self.scored.any():
            raise UserError(
                "E_PROMPTS",
                "no target prompt fits in the model's context after a source prompt",
                remedy="Give shorter source prompts.",
            )
        words = model.network.config.get_text_config().vocab_size
        self.at_once = max(MAX_LOGITS // (words * (mask.shape[1] + 1)), 1)

    def chunks(self, rows: int | None) -> Sequence[Tensor]:
        """Row numbers of the pairs that pass together, at most `rows` unless that is None."""
        return torch.arange(len(self.inputs)).split(min(self.at_once, rows or self.at_once))


class _Parameters:
    """What is learnt, for one module.

    Attributes:
        free: any (d, r); Rᵀ is the orthonormal factor of its QR decomposition.
        weight: W, (r, d).
        bias: b, (r,).
    """

    def __init__(
        self, width: int, rank: int, device: torch.device, random: torch.Generator
    ) -> None:
        start = torch.linalg.qr(torch.randn(width, rank, generator=random)).Q.to(device)
        self.free = start.clone().requires_grad_()
        # The sign of the factor is a convention: of an orthonormal matrix it may be the other one.
        self.weight = torch.linalg.qr(start).Q.mT.clone().requires_grad_()
        self.bias = torch.zeros(rank, device=device, requires_grad=True)

    def map(self) -> LowRankMap:
        """The map, with a gradient."""
        up = torch.linalg.qr(self.free).Q
        return LowRankMap(up, self.weight - up.mT, self.bias)


def _descend(
    samples: Samples, pairs: _Pairs, config: ReftConfig
) -> tuple[SteeringMaps, list[float], int]:
    """Take the steps; start again at half the rate where the loss grows.

    A rate that suits one network is too high for one whose activations are larger, such as
    Gemma's.

    Returns:
        The maps, the loss before each step and after the last, and how often the rate was halved.

    Raises:
        UserError: the loss grows also at the last rate.
    """
    for halvings in range(_MAX_HALVINGS + 1):
        rate = config.learning_rate * 0.5**halvings
        maps, losses = _steps(samples, pairs, config, rate)
        if losses[-1] <= losses[0]:
            return maps, losses, halvings
    raise UserError(
        "E_DIVERGED",
        f"ReFT diverged: the loss was {losses[0]:.3g} and became {losses[-1]:.3g}, although the "
        f"learning rate was halved {_MAX_HALVINGS} times",
        remedy="Give a smaller learning rate.",
    )


def _steps(
    samples: Samples, pairs: _Pairs, config: ReftConfig, rate: float
) -> tuple[SteeringMaps, list[float]]:
    """Take the steps at an initial rate, but no further ones once the loss has grown."""
    random = torch.Generator().manual_seed(config.seed)
    learnt = {
        name: _Parameters(width, config.rank, samples.device, random)
        for name, width in zip(samples.names, samples.widths, strict=True)
    }
    parameters = [part for p in learnt.values() for part in (p.free, p.weight, p.bias)]
    optimizer = torch.optim.AdamW(parameters, lr=rate, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.0, total_iters=config.epochs)
    losses: list[float] = []
    for step in range(config.epochs + 1):
        optimizer.zero_grad()
        last = step == config.epochs
        losses.append(_loss(samples, pairs, learnt, backward=not last))
        if last or not losses[-1] <= _GROWN * losses[0]:  # NaN fails every comparison
            break
        optimizer.step()
        decay.step()
    return SteeringMaps({name: _detached(p.map()) for name, p in learnt.items()}), losses


def _loss(
    samples: Samples, pairs: _Pairs, learnt: dict[str, _Parameters], *, backward: bool
) -> float:
    """Mean cross-entropy of the scored tokens; its gradient is added to the parameters'."""
    total, count = 0.0, int(pairs.scored.sum())
    for rows in pairs.chunks(samples.config.micro_batch_size):
        with torch.set_grad_enabled(backward):
            maps = SteeringMaps({name: p.map() for name, p in learnt.items()})
            with steer(samples.model.network, maps):
                chunk = pairs.inputs.rows(rows)
                loss = _cross_entropy(samples.run(chunk), chunk, pairs.scored[rows]) / count
            if backward:
                loss.backward()
        total += loss.item()
    return total


def _cross_entropy(logits: Tensor, inputs: Inputs, scored: Tensor) -> Tensor:
    """Sum over the scored tokens; `logits` (n, t, v), `scored` (n, t - 1)."""
    words = inputs.arguments["input_ids"][:, 1:][scored]
    return cross_entropy(logits[:, :-1][scored].float(), words, reduction="sum")


def _detached(step: LowRankMap) -> LowRankMap:
    return LowRankMap(step.up.detach(), step.down.detach(), step.bias.detach())


def _check_rank(samples: Samples, rank: int) -> None:
    narrow = min(samples.widths)
    if rank > narrow:
        raise UserError(
            "E_SETTING",
            f"rank is {rank}, but a module has only {narrow} coordinates",
            remedy=f"Give at most {narrow}.",
        )


METHOD = Method(
    "reft",
    "ReFT: a few directions in which target prompts become likely; texts only.",
    learn,
    ReftConfig(),
    kinds=("language",),
    passes=30,
    chats=False,
)
