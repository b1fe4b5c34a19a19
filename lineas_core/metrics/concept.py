"""ConceptScore: the probability that a picture shows a concept, by a separate classifier.

A small classifier ("probe") of the embedded model's world, trained on drawn pictures, not on
generated ones (see tools/emoji_world/probe.py). Its labels are subjects, scenes and styles.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from lineas_core.errors import UserError
from lineas_core.paths import ASSETS

__all__ = ["PROBE", "Probe", "concept_scores", "known_concept"]

_WORLD = "emoji-world"
PROBE = ASSETS / "models" / "emoji-world-probe"
"""Folder of the shipped probe."""
_SIDE = 128
_ROWS = 64


class Probe(nn.Module):
    """A residual network with one output for every subject, scene and style.

    Attributes:
        labels: kind -> labels. A picture has any number of labels of the kind `subject`, and
            exactly one of the kinds `scene` and `look` (the style).
    """

    def __init__(self, labels: dict[str, list[str]]) -> None:
        """Create an untrained network."""
        super().__init__()
        self.labels = labels
        widths = (32, 64, 128, 192, 256)
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 5, stride=2, padding=2)]
        for before, after in pairwise(widths):
            layers += [_Residual(before), nn.Conv2d(before, after, 3, stride=2, padding=1)]
        self.body = nn.Sequential(*layers, _Residual(widths[-1]), nn.BatchNorm2d(widths[-1]))
        # Mean pooling for scenes and styles, maximum for subjects, which are in one place.
        self.head = nn.Linear(2 * widths[-1], sum(map(len, labels.values())))

    @classmethod
    def load(cls, folder: Path = PROBE) -> Probe:
        """Load the trained network from a folder.

        Raises:
            UserError: the network is missing or damaged.
        """
        try:
            probe = cls(json.loads((folder / "labels.json").read_text(encoding="utf-8")))
            probe.load_state_dict(load_file(folder / "model.safetensors"))
        except (OSError, ValueError, AttributeError, RuntimeError, SafetensorError) as error:
            raise UserError(
                "E_MODEL",
                "the network that recognises concepts is missing or damaged",
                where=str(folder),
                remedy="Restore the folder from the repository.",
            ) from error
        return probe.float().eval().requires_grad_(False)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Compute logits (n, labels) by kind from pixels (n, 3, 128, 128), -1 to 1."""
        z = F.silu(self.body(pixels))
        logits = self.head(torch.cat([z.mean(dim=(2, 3)), z.amax(dim=(2, 3))], dim=1))
        parts = logits.split([len(names) for names in self.labels.values()], dim=1)
        return dict(zip(self.labels, parts, strict=True))

    @torch.no_grad()
    def probabilities(self, images: Sequence[Image.Image]) -> dict[str, Tensor]:
        """Compute probabilities (n, labels) by kind; those of scenes and of styles sum to 1."""
        pixels = np.stack([np.asarray(i.convert("RGB").resize((_SIDE, _SIDE))) for i in images])
        x = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 127.5 - 1
        logits = [self(rows) for rows in x.split(_ROWS)]
        joined = {kind: torch.cat([part[kind] for part in logits]) for kind in self.labels}
        return {k: v.sigmoid() if k == "subject" else v.softmax(-1) for k, v in joined.items()}


def concept_scores(images: Sequence[Image.Image], concept: str) -> list[float]:
    """Compute the probability that each picture shows the concept, 0 to 1.

    Raises:
        UserError: the probe does not know the concept, or is missing.
    """
    probe = _shipped()
    for kind, names in probe.labels.items():
        if concept in names:
            return probe.probabilities(images)[kind][:, names.index(concept)].tolist()
    known = ", ".join(probe.labels["look"][1:] + probe.labels["subject"][:5])
    raise UserError("E_CONCEPT", f"no score for {concept!r}", remedy=f"Give one such as {known}.")


def known_concept(keywords: Iterable[str], model: str) -> str | None:
    """Return the first keyword that the probe has a score for.

    Args:
        keywords: names of the concept.
        model: name of the image model; the probe only knows pictures of the embedded one.

    Returns:
        The keyword; None if there is none, for other models, and if the probe is missing.
    """
    if model != _WORLD:
        return None
    try:
        labels = {name for names in _shipped().labels.values() for name in names}
    except UserError:
        return None
    return next((word for word in keywords if word in labels), None)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.BatchNorm2d(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


_shipped = cache(Probe.load)
