"""Gradient descent on the learnt parameters: optimiser, proximal step, best iterate, resuming.

The parameters are two rows over all coordinates, (2, D); `lineas_core.learning.problem` turns
them into maps.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import LearnConfig
from lineas_core.learning.samples import not_finite
from lineas_core.learning.sparsity import prox_group_lasso

__all__ = ["Best", "Descent", "Measurements"]

Measurements = dict[str, float | None]
"""Name -> number for the metadata of the maps; None where it was not measured."""

_MAX_HALVINGS = 5
# Share of the iterations in which γ selects coordinates; with 0.5 more of the effect is lost.
_SELECTING = 0.25
_NAMES = ("iteration", "loss_start", "loss", "heldout_start", "heldout")
_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


@dataclass(frozen=True, eq=False)
class Best:
    """The iterate with the lowest loss so far.

    Attributes:
        loss: its loss; infinite before the first iterate.
        parameters: (2, D).
        measurements: what was measured up to it.
    """

    loss: float
    parameters: Tensor
    measurements: Measurements


class Descent:
    """The state of a run.

    Attributes:
        parameters: the current parameters, (2, D), float32, requires a gradient.
        measurements: iteration, loss and held-out distance of the last iterate and of the start.
        best: the iterate with the lowest loss so far.
    """

    def __init__(self, parameters: Tensor, widths: list[int], config: LearnConfig) -> None:
        """Start a run.

        Args:
            parameters: where to start, (2, D).
            widths: number of coordinates of each module, summing to D.
            config: settings of the run.
        """
        self.parameters = parameters.requires_grad_()
        self.measurements: Measurements = dict.fromkeys(_NAMES)
        self.best = Best(math.inf, parameters.detach().clone(), dict(self.measurements))
        self._widths, self._config, self._halvings = widths, config, 0
        self._support: Tensor | None = None  # (2, D), once γ has selected it
        self._start_optimizer()

    def rate(self, iteration: int) -> float:
        """Learning rate of the step after `iteration`: a cosine, halved after each divergence."""
        cosine = 0.5 * (1 + math.cos(math.pi * iteration / self._config.iterations))
        return self._config.learning_rate * cosine * 0.5**self._halvings

    def step(self, gradient: Tensor, iteration: int) -> None:
        """Take one optimiser step, then the proximal step (LinEAS, Algorithm 1).

        Differs from the paper unless `standardise=False`: the proximal step selects coordinates
        in the first quarter of the iterations only. Afterwards the others stay as they are, and
        the selected ones move freely (Meinshausen, 2007, "Relaxed lasso"). Otherwise γ would
        also shrink the selected coordinates, the more so the fewer it leaves.

        Args:
            gradient: of the loss at the parameters, (2, D).
            iteration: number of the iterate that the gradient belongs to.
        """
        config, rate = self._config, self.rate(iteration)
        self._end_selection(iteration)
        self._optimizer.param_groups[0]["lr"] = rate
        self.parameters.grad = gradient
        self._optimizer.step()
        if not config.sparsity:
            return
        with torch.no_grad():
            if self._support is not None:
                self.parameters.mul_(self._support)
                return
            threshold = config.sparsity * self._step_size(rate)
            self.parameters.copy_(prox_group_lasso(self.parameters, self._widths, threshold))

    def note(self, iteration: int, loss: float | None, heldout: float | None) -> float:
        """Update the measurements with those of an iterate, and return its loss.

        Args:
            iteration: number of the iterate.
            loss: its loss; None keeps the one of the iterate before.
            heldout: its held-out distance; None keeps the last one measured.
        """
        new: Measurements = {"iteration": iteration, "loss": loss, "heldout": heldout}
        if iteration == 0:
            new |= {"loss_start": loss, "heldout_start": heldout}
        self.measurements |= {name: value for name, value in new.items() if value is not None}
        return self.measurements["loss"]  # type: ignore[return-value]

    def keep_if_best(self) -> bool:
        """Keep the current parameters and measurements if their loss is the lowest so far."""
        loss = self.measurements["loss"]
        better = loss is not None and loss < self.best.loss
        if better:
            parameters = self.parameters.detach().clone()
            self.best = Best(loss, parameters, dict(self.measurements))  # type: ignore[arg-type]
        return better

    def fall_back(self, iteration: int, module: str) -> None:
        """Return to the best parameters and halve the learning rate.

        Coordinates that γ has selected stay selected, also where the best parameters are 0.

        Args:
            iteration: number of the iteration that diverged.
            module: name of the module with the highest loss, for the error.

        Raises:
            UserError: the rate was halved five times already, or the very first loss is not
                finite.
        """
        if self.measurements["loss_start"] is None:
            raise not_finite(module)
        self._halvings += 1
        if self._halvings > _MAX_HALVINGS:
            raise UserError(
                "E_DIVERGED",
                f"the run diverged at iteration {iteration} (module {module}) although the "
                f"learning rate was halved {_MAX_HALVINGS} times",
                remedy="Start again with a smaller learning rate.",
            )
        self._end_selection(iteration)
        with torch.no_grad():
            self.parameters.copy_(self.best.parameters)
            if self._support is not None:
                self.parameters.mul_(self._support)
        self._start_optimizer()

    def state(self, iteration: int) -> dict[str, Tensor]:
        """Everything that `restore` needs to continue with `iteration`, bit for bit."""
        moments = self._optimizer.state_dict()["state"].get(0, {})
        return {
            "iteration": torch.tensor(iteration),
            "halvings": torch.tensor(self._halvings),
            "best_loss": torch.tensor(self.best.loss, dtype=torch.float64),
            "best_parameters": self.best.parameters.clone(),
            "best_measurements": _packed(self.best.measurements),
            "parameters": self.parameters.detach().clone(),
            "measurements": _packed(self.measurements),
            **({} if self._support is None else {"support": self._support.clone()}),
            **{f"optimizer.{k}": v.clone() for k, v in moments.items() if v is not None},
        }

    def restore(self, state: dict[str, Tensor]) -> int:
        """Continue from a state of `state`.

        Returns:
            The number of the iteration to continue with.

        Raises:
            UserError: the state belongs to parameters of another shape.
        """
        if state["parameters"].shape != self.parameters.shape:
            raise UserError(
                "E_RESUME",
                "the saved run has other modules or another model",
                remedy="Resume with the settings it was started with.",
            )
        with torch.no_grad():
            self.parameters.copy_(state["parameters"])
        # Checkpoints of version 0.1 call the measurements "figures" and keep no best ones.
        measured = state["measurements" if "measurements" in state else "figures"]
        self.measurements = _unpacked(measured)
        self.best = Best(
            float(state["best_loss"]),
            state["best_parameters"].to(self.parameters),
            _unpacked(state.get("best_measurements", measured)),
        )
        self._halvings = int(state["halvings"])
        if "support" in state:  # missing in earlier checkpoints, and during the selection
            self._support = state["support"].to(self.parameters.device)
        moments = {k.removeprefix("optimizer."): v for k, v in state.items() if "." in k}
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": {0: moments}, "param_groups": groups})
        return int(state["iteration"])

    def _end_selection(self, iteration: int) -> None:
        """Keep the coordinates that differ from 0 at the end of the first quarter."""
        config = self._config
        over = config.standardise and iteration >= _SELECTING * config.iterations
        if config.sparsity and over and self._support is None:
            self._support = self.parameters.detach() != 0

    def _step_size(self, rate: float) -> Tensor:
        """How far one unit of gradient moves each coordinate: (2, D), or one number for SGD.

        Adam moves all coordinates about equally far, however flat the loss. One threshold for
        all of them would make γ switch off either every coordinate or none.
        """
        moments = self._optimizer.state[self.parameters]
        if "exp_avg_sq" not in moments:
            return torch.tensor(rate)
        group = self._optimizer.param_groups[0]
        unbiased = moments["exp_avg_sq"] / (1 - group["betas"][1] ** moments["step"])
        return rate / (unbiased.sqrt() + group["eps"])

    def _start_optimizer(self) -> None:
        self._optimizer = _OPTIMIZERS[self._config.optimizer]([self.parameters])


def _packed(measurements: Measurements) -> Tensor:
    numbers = [math.nan if v is None else v for v in measurements.values()]
    return torch.tensor(numbers, dtype=torch.float64)


def _unpacked(numbers: Tensor) -> Measurements:
    pairs = zip(_NAMES, numbers.tolist(), strict=True)
    return {
        name: None if math.isnan(number) else int(number) if name == "iteration" else number
        for name, number in pairs
    }
