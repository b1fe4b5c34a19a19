"""One descent: the learnt parameters, their optimiser, the best so far, and how to go on.

The two rows of parameters (2, D) mean nothing here; `lineas_core.learn` makes maps of them.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.learning.config import LearnConfig
from lineas_core.learning.samples import not_finite
from lineas_core.learning.sparsity import prox_group_lasso

__all__ = ["Descent"]

_HALVINGS = 5
_CHOOSING = 0.25  # of the iterations; of a half, less of the effect is left
_FIGURES = ("iteration", "loss_start", "loss", "heldout_start", "heldout")
_OPTIMIZERS = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "sgd": torch.optim.SGD}


class Descent:
    """What changes during a run.

    Attributes:
        parameters: (2, D), requires a gradient.
        figures: numbers for the map's file; None where there is none yet.
    """

    def __init__(self, parameters: Tensor, widths: list[int], config: LearnConfig) -> None:
        """Start from `parameters`, whose columns are the coordinates of modules of `widths`."""
        self.parameters = parameters.requires_grad_()
        self.figures: dict[str, float | None] = dict.fromkeys(_FIGURES)
        self._widths, self._config = widths, config
        self._halvings, self._best_loss = 0, math.inf
        self._best_parameters = parameters.detach().clone()
        self._start_optimizer()

    def rate(self, iteration: int) -> float:
        """Learning rate of the step after `iteration`: a cosine, halved after each fall-back."""
        cosine = 0.5 * (1 + math.cos(math.pi * iteration / self._config.iterations))
        return self._config.learning_rate * cosine * 0.5**self._halvings

    def step(self, gradient: Tensor, iteration: int) -> None:
        """One optimiser step, then the proximal step (LinEAS, Algorithm 1).

        Differs from the paper, unless the loss is the paper's, too: the proximal step chooses
        coordinates for a quarter of the iterations. From then on the others stay as they are,
        and the chosen ones move freely (Meinshausen, 2007, "Relaxed lasso"). What shrinks a
        coordinate to zero shrinks the others as well, and the more so the fewer are to be left.
        """
        config, rate = self._config, self.rate(iteration)
        chosen = config.standardise and iteration >= _CHOOSING * config.iterations
        support = self.parameters.detach() != 0 if config.sparsity and chosen else None
        self._optimizer.param_groups[0]["lr"] = rate
        self.parameters.grad = gradient
        self._optimizer.step()
        if not config.sparsity:
            return
        with torch.no_grad():
            if support is not None:
                self.parameters.mul_(support)
                return
            threshold = config.sparsity * self._reach(rate)
            self.parameters.copy_(prox_group_lasso(self.parameters, self._widths, threshold))

    def keep_best(self, loss: float) -> bool:
        """Whether this loss is the lowest so far; its parameters are then kept."""
        better = loss < self._best_loss
        if better:
            self._best_loss, self._best_parameters = loss, self.parameters.detach().clone()
        return better

    def note(self, iteration: int, loss: float, heldout: float | None) -> None:
        """Keep the figures of an iterate; the held-out distance is the last one evaluated."""
        if iteration == 0:
            self.figures |= {"loss_start": loss, "heldout_start": heldout}
        self.figures |= {"iteration": iteration, "loss": loss}
        if heldout is not None:
            self.figures["heldout"] = heldout

    def fall_back(self, iteration: int, module: str) -> None:
        """Back to the best parameters with half the rate.

        Raises:
            UserError: that was done five times already, or there is nothing to go back to; names
                `module`, the worst one.
        """
        if self.figures["loss_start"] is None:
            raise not_finite(module)
        self._halvings += 1
        if self._halvings > _HALVINGS:
            raise UserError(
                "E_DIVERGED",
                f"the run diverged at iteration {iteration} (module {module}) although the "
                f"learning rate was halved {_HALVINGS} times",
                remedy="Start again with a smaller learning rate.",
            )
        with torch.no_grad():
            self.parameters.copy_(self._best_parameters)
        self._start_optimizer()

    def state(self, iteration: int) -> dict[str, Tensor]:
        """Everything that `restore` needs to go on bit for bit."""
        moments = self._optimizer.state_dict()["state"].get(0, {})
        figures = [math.nan if v is None else v for v in self.figures.values()]
        return {
            "iteration": torch.tensor(iteration),
            "halvings": torch.tensor(self._halvings),
            "best_loss": torch.tensor(self._best_loss, dtype=torch.float64),
            "best_parameters": self._best_parameters.clone(),
            "parameters": self.parameters.detach().clone(),
            "figures": torch.tensor(figures, dtype=torch.float64),
            **{f"optimizer.{k}": v.clone() for k, v in moments.items() if v is not None},
        }

    def restore(self, state: dict[str, Tensor]) -> int:
        """Take up a state; returns its iteration.

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
        self._halvings, self._best_loss = int(state["halvings"]), float(state["best_loss"])
        self._best_parameters = state["best_parameters"].to(self.parameters)
        figures = zip(_FIGURES, state["figures"].tolist(), strict=True)
        self.figures = {k: None if math.isnan(v) else v for k, v in figures}
        moments = {k.removeprefix("optimizer."): v for k, v in state.items() if "." in k}
        groups = self._optimizer.state_dict()["param_groups"]
        self._optimizer.load_state_dict({"state": {0: moments}, "param_groups": groups})
        return int(state["iteration"])

    def _reach(self, rate: float) -> Tensor:
        """How far one unit of gradient moves each coordinate: (2, D), or one number for SGD.

        Adam moves all coordinates about equally far, however flat the loss. With one threshold
        for all of them, γ would switch off either every coordinate or none.
        """
        moments = self._optimizer.state[self.parameters]
        if "exp_avg_sq" not in moments:
            return torch.tensor(rate)
        group = self._optimizer.param_groups[0]
        unbiased = moments["exp_avg_sq"] / (1 - group["betas"][1] ** moments["step"])
        return rate / (unbiased.sqrt() + group["eps"])

    def _start_optimizer(self) -> None:
        self._optimizer = _OPTIMIZERS[self._config.optimizer]([self.parameters])
