"""What both training stages share: optimisers, the clock of a sitting, checkpoints and the log."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import AdamW, Muon, Optimizer

__all__ = ["Average", "Clock", "Run", "lower_precision", "muon_and_adamw", "set_rate"]

_LOG_EVERY = 20
_SAVE_SECONDS = 180


def lower_precision(device: str = "cpu") -> torch.autocast:
    """Autocast to bfloat16 where that is faster, else a context that changes nothing."""
    return torch.autocast(device, torch.bfloat16, enabled=_bfloat16_is_fast(device))


@cache
def _bfloat16_is_fast(device: str) -> bool:
    """Time a product of matrices in both: without instructions for it bfloat16 is far slower."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        matrix = torch.ones(768, 768, dtype=dtype, device=device)
        runs = []
        for _ in range(4):  # the first one prepares the code
            start = time.perf_counter()
            matrix @ matrix
            runs.append(time.perf_counter() - start)
        seconds[dtype] = min(runs)
    return seconds[torch.bfloat16] < 0.8 * seconds[torch.float32]


class _ConvMuon(Muon):
    """Muon for filters too: a filter bank (o, i, h, w) is the matrix (o, i h w), a view of it."""

    def __init__(self, parameters: Sequence[nn.Parameter], lr: float) -> None:
        self._given = list(parameters)
        self._matrices = [nn.Parameter(_as_matrix(p.detach())) for p in self._given]
        for given, matrix in zip(self._given, self._matrices, strict=True):
            assert given.data_ptr() == matrix.data_ptr(), "the matrix must be a view"
        super().__init__(
            self._matrices, lr=lr, weight_decay=0.0, adjust_lr_fn="match_rms_adamw", ns_steps=4
        )

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for given, matrix in zip(self._given, self._matrices, strict=True):
            matrix.grad = None if given.grad is None else _as_matrix(given.grad)
            given.grad = None
        super().step()


def _as_matrix(weight: torch.Tensor) -> torch.Tensor:
    """The order of the columns does not matter to Muon, that they lie as in memory does."""
    if weight.dim() == 4 and not weight.is_contiguous():
        weight = weight.permute(0, 2, 3, 1)  # as it lies in `channels_last` memory
    return weight.flatten(1) if weight.dim() == 4 else weight


def muon_and_adamw(network: nn.Module, rate: float) -> list[Optimizer]:
    """Muon for matrices and filters, AdamW for embeddings, biases and norms.

    Both are scaled so that one rate fits; gradients of `network` are cleared by the steps.
    """
    embeddings = {
        id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)
    }  # rows that a batch does not use must not move: not for Muon
    matrices, rest = [], []
    for parameter in network.parameters():
        big = parameter.dim() in (2, 4) and min(parameter.shape[0], parameter[0].numel()) >= 16
        (matrices if big and id(parameter) not in embeddings else rest).append(parameter)
    adam = AdamW(rest, lr=rate, betas=(0.9, 0.98), weight_decay=0.0)
    optimizers: list[Optimizer] = [_ConvMuon(matrices, rate), adam]
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["rate"] = rate
    return optimizers


def set_rate(optimizers: Sequence[Optimizer], factor: float) -> None:
    """Set every group's rate to its own base rate times the factor."""
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["rate"] * factor


class Clock:
    """The time of a sitting."""

    def __init__(self, minutes: float) -> None:
        """Starts now."""
        self._start, self._seconds = time.monotonic(), 60 * minutes

    @property
    def spent(self) -> float:
        """Share of the time that is over, 0 to 1."""
        return min((time.monotonic() - self._start) / max(self._seconds, 1e-6), 1.0)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return self.spent >= 1

    def decay(self, tail: float) -> float:
        """Factor of the rate: 1, then linearly to 0 over the last share `tail`."""
        return min((1 - self.spent) / tail, 1.0)


class Run:
    """Steps, log and checkpoint of one stage; continues an earlier sitting.

    Attributes:
        step: optimiser steps so far, over all sittings.
    """

    def __init__(
        self, file: Path, networks: Mapping[str, nn.Module], optimizers: Sequence[Optimizer]
    ) -> None:
        """Load the checkpoint when there is one."""
        self.step, self._file = 0, file
        self._networks, self._optimizers = networks, optimizers
        self._since, self._saved = time.monotonic(), time.monotonic()
        self._means: dict[str, float] = {}
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.exists():
            state = torch.load(file, map_location="cpu", weights_only=True)
            self.step = state["step"]
            for name, network in networks.items():
                network.load_state_dict(state[name])
            for optimizer, kept in zip(optimizers, state["optimizers"], strict=True):
                rates = [group["rate"] for group in optimizer.param_groups]
                optimizer.load_state_dict(kept)
                for group, rate in zip(optimizer.param_groups, rates, strict=True):
                    group["rate"] = rate  # this sitting's, not the former one's

    def after_step(self, optimizers: Sequence[Optimizer], **figures: float) -> None:
        """Step the optimisers, keep running means of the figures, log and save in turn."""
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        self.step += 1
        for name, value in figures.items():
            self._means[name] = 0.95 * self._means.get(name, value) + 0.05 * value
        now = time.monotonic()
        if self.step % _LOG_EVERY == 0:
            pace = (now - self._since) / _LOG_EVERY
            told = " ".join(f"{name} {value:.4f}" for name, value in self._means.items())
            print(f"step {self.step} {told} {pace:.2f} s/step", flush=True)
            self._since = now
        if now - self._saved > _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write the checkpoint; an interrupted write leaves the former one."""
        state = {name: network.state_dict() for name, network in self._networks.items()}
        state |= {"step": self.step, "optimizers": [o.state_dict() for o in self._optimizers]}
        part = self._file.with_suffix(".part")
        torch.save(state, part)
        part.replace(self._file)
        self._saved = time.monotonic()


class Average:
    """Running mean of the weights: what is shipped."""

    def __init__(self, network: nn.Module, file: Path, keep: float = 0.99) -> None:
        """Goes on from the file when there is one; each step keeps this share of the mean."""
        self._file, self._keep = file, keep
        self.weights = {k: v.detach().clone() for k, v in network.state_dict().items()}
        if file.exists():
            known = load_file(file)
            self.weights = {k: known[k].to(v) for k, v in self.weights.items()}

    @torch.no_grad()
    def take(self, network: nn.Module) -> None:
        """Mix the present weights in."""
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.weights[name].lerp_(value, 1 - self._keep)

    def save(self) -> None:
        """Write the file; an interrupted write leaves the former one."""
        part = self._file.with_suffix(".part")
        save_file({k: v.cpu().contiguous() for k, v in self.weights.items()}, part)
        part.replace(self._file)
