"""The probe: a classifier of drawn pictures, the independent judge of generated ones.

    python -m tools.emoji_world.probe --emoji FOLDER [--minutes 30]

Learns from pictures drawn on the fly, a little blurred, noisy and shifted, because generated ones
are not as clean. At the end it is measured on pictures of other seeds, and labels, weights and
accuracy are written into the folder that the library reads.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

import numpy as np
import torch
from PIL import Image, ImageFilter
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from lineas_core.metrics.concept import Probe
from tools.emoji_world.captions import Picture, random_picture
from tools.emoji_world.renderer import NOISE, render, use_emoji
from tools.emoji_world.training import Clock, Run, lower_precision, set_rate
from tools.emoji_world.vocabulary import LOOKS, SCENES, SUBJECTS

LABELS = {"subject": list(SUBJECTS), "scene": list(SCENES), "look": list(LOOKS)}
_BATCH = 32
_HELD_OUT = 1_000_000  # first seed of the pictures it is measured on


def _pictures(seed: int, count: int, *, spoilt: bool) -> tuple[Tensor, dict[str, Tensor]]:
    rng, noise = Random(seed), np.random.default_rng(seed)
    pictures = [random_picture(rng) for _ in range(count)]
    images = []
    for picture in pictures:
        image = Image.fromarray(render(picture, noise.standard_normal(NOISE)))
        if spoilt:
            image = image.filter(ImageFilter.GaussianBlur(rng.choice((0, 0, 0.5, 1, 2, 3))))
        images.append(np.asarray(image.resize((128, 128))))
    x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
    if spoilt:
        x = x * rng.uniform(0.85, 1.1) + rng.uniform(-0.08, 0.08)
        x = x + rng.choice((0, 0.03, 0.08)) * torch.randn_like(x)
        x = x.roll((rng.randint(-4, 4), rng.randint(-4, 4)), (2, 3))
    return x.contiguous(memory_format=torch.channels_last), _wanted(pictures)


def _wanted(pictures: list[Picture]) -> dict[str, Tensor]:
    seen = torch.zeros(len(pictures), len(SUBJECTS))
    for row, picture in enumerate(pictures):
        for name in (picture.subject, picture.second):
            if name:
                seen[row, LABELS["subject"].index(name)] = 1
    return {
        "subject": seen,
        "scene": torch.tensor([LABELS["scene"].index(p.scene) for p in pictures]),
        "look": torch.tensor([LABELS["look"].index(p.look) for p in pictures]),
    }


def _loss(logits: dict[str, Tensor], wanted: dict[str, Tensor]) -> Tensor:
    subjects = F.binary_cross_entropy_with_logits(logits["subject"].float(), wanted["subject"])
    return (
        len(SUBJECTS) * subjects / 2
        + F.cross_entropy(logits["scene"].float(), wanted["scene"])
        + F.cross_entropy(logits["look"].float(), wanted["look"])
    )


@torch.no_grad()
def _accuracy(probe: Probe, count: int = 1500) -> dict[str, float]:
    """Shares of held-out pictures whose label is found; a subject counts once for each shown."""
    kinds = ("subject", "alarm", "first", "scene", "look")
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for seed in range(_HELD_OUT, _HELD_OUT + count // 50):
        x, wanted = _pictures(seed, 50, spoilt=False)
        logits = probe(x)
        seen = wanted["subject"] > 0
        found["subject"] += (logits["subject"][seen] > 0).float().tolist()
        found["alarm"] += (logits["subject"][~seen] > 0).float().tolist()
        shown = seen.gather(1, logits["subject"].argmax(1, keepdim=True)).squeeze(1)
        found["first"] += shown[seen.any(dim=1)].float().tolist()
        for kind in ("scene", "look"):
            found[kind] += (logits[kind].argmax(1) == wanted[kind]).float().tolist()
    return {
        "most certain subject is shown": float(np.mean(found["first"])),
        "subjects found": float(np.mean(found["subject"])),
        "subjects seen where there are none, each": float(np.mean(found["alarm"])),
        "scenes": float(np.mean(found["scene"])),
        "looks": float(np.mean(found["look"])),
        "pictures": count,
    }


def main() -> None:
    """Train for some minutes, measure, ship."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--emoji", type=Path, required=True, help="assets of the npm package")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--out", type=Path, default=Path("build/emoji-world"))
    parser.add_argument("--ship", type=Path, default=Path("assets/models/emoji-world-probe"))
    options = parser.parse_args()
    use_emoji(options.emoji)
    torch.manual_seed(0)
    probe = Probe(LABELS).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(probe.parameters(), lr=2e-3, weight_decay=0.02)
    optimizer.param_groups[0]["rate"] = 2e-3
    run = Run(options.out / "probe.pt", {"model": probe}, [optimizer])
    clock = Clock(options.minutes)
    while not clock.over:
        x, wanted = _pictures(run.step, _BATCH, spoilt=True)
        set_rate([optimizer], min(1, (run.step + 1) / 50) * clock.decay(0.6))
        with lower_precision():
            logits = probe(x)
        loss = _loss(logits, wanted)
        loss.backward()
        looks = (logits["look"].argmax(1) == wanted["look"]).float().mean()
        run.after_step([optimizer], loss=loss.item(), looks=looks.item())
    run.save()
    accuracy = _accuracy(probe.eval())
    print(accuracy)
    options.ship.mkdir(parents=True, exist_ok=True)
    weights = {k: v.contiguous() for k, v in probe.half().state_dict().items()}
    save_file(weights, options.ship / "model.safetensors")
    for name, content in (("labels", LABELS), ("accuracy", accuracy)):
        (options.ship / f"{name}.json").write_text(json.dumps(content, indent=1), "utf-8")


if __name__ == "__main__":
    main()
