"""What makes a decoder sharp: the losses that look at more than single pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import spectral_norm

from lineas_core.metrics.efficientnet import EfficientNetLite0

__all__ = ["Critic", "Features", "picture_loss"]

_DEPTHS = 0, 2, 4  # blocks whose outputs are compared, beside the stem's


def picture_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """L1 + MSE + L1 of the differences between neighbours: edges count more than areas."""
    loss = F.l1_loss(made, wanted) + F.mse_loss(made, wanted)
    for axis in (-1, -2):
        loss = loss + F.l1_loss(made.diff(dim=axis), wanted.diff(dim=axis))
    return loss


class Features(nn.Module):
    """Distance in the first blocks of a network that learnt from photographs, not from ours."""

    def __init__(self) -> None:
        """With the ImageNet weights, frozen."""
        super().__init__()
        self.network = EfficientNetLite0.pretrained().to(memory_format=torch.channels_last)

    def forward(self, made: Tensor, wanted: Tensor) -> Tensor:
        """Mean L1 over the depths, each divided by the mean size of what is wanted."""
        with torch.no_grad():
            goals = self._seen(wanted)
        pairs = zip(self._seen(made), goals, strict=True)
        parts = [F.l1_loss(a.float(), b.float()) / b.float().abs().mean() for a, b in pairs]
        return sum(parts[1:], parts[0]) / len(parts)

    def _seen(self, pixels: Tensor) -> list[Tensor]:
        network = self.network
        z = F.relu6(network._bn0(network._conv_stem(pixels)))
        seen = [z]
        for number, block in enumerate(network._blocks[: max(_DEPTHS) + 1]):
            z = block(z)
            if number in _DEPTHS:
                seen.append(z)
        return seen


class Critic(nn.Module):
    """A small patch discriminator with spectral norms; its features are matched, too."""

    def __init__(self, width: int = 48) -> None:
        """Untrained."""
        super().__init__()
        widths = (3, width, 2 * width, 4 * width)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, stride=2, padding=1))
            for a, b in zip(widths, widths[1:], strict=False)
        )
        self.last = spectral_norm(nn.Conv2d(widths[-1], 1, 3, padding=1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores of the patches, high for drawn ones, and the features of the layers."""
        z, seen = pixels, []
        for layer in self.layers:
            z = F.leaky_relu(layer(z), 0.2)
            seen.append(z)
        return self.last(z), seen

    def loss(self, made: Tensor, wanted: Tensor) -> Tensor:
        """The hinge loss of its own training."""
        scores = self(torch.cat([made.detach(), wanted]))[0].float()
        false, true = scores.chunk(2)
        return F.relu(1 + false).mean() + F.relu(1 - true).mean()

    def judge(self, made: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """For the decoder: what it is told by the scores, and the distance in the features."""
        with torch.no_grad():
            goals = self(wanted)[1]
        scores, seen = self(made)
        pairs = zip(seen, goals, strict=True)
        parts = [F.l1_loss(a.float(), b.float()) / b.float().abs().mean() for a, b in pairs]
        return -scores.float().mean(), sum(parts[1:], parts[0]) / len(parts)
