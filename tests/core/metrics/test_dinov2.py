import json

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import Dinov2Config, Dinov2Model

from lineas_core import UserError
from lineas_core.metrics.dinov2 import DINOV2, dinov2_scores
from lineas_core.models import hub
from tests.tolerance import TEXT_NETWORK, rounding

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
LONGER, SIDE = 36, 28  # resized to, cut to


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny DINOv2 with the files that its repository on the hub has."""
    folder = tmp_path_factory.mktemp("dinov2")
    config = Dinov2Config(
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=14,
        initializer_range=0.5,
        layerscale_value=1.0,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Dinov2Model(config).save_pretrained(folder)
    preprocessor = {
        **dict.fromkeys(("do_center_crop", "do_convert_rgb", "do_normalize"), True),
        **dict.fromkeys(("do_rescale", "do_resize"), True),
        "image_processor_type": "BitImageProcessor",
        "image_mean": MEAN,
        "image_std": SPREAD,
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": LONGER},
        "crop_size": {"height": SIDE, "width": SIDE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return str(folder)


@pytest.fixture(scope="module")
def images():
    draw = np.random.default_rng(0).integers
    return [Image.fromarray(draw(0, 255, (72, 72, 3), dtype=np.uint8)) for _ in range(3)]


@torch.no_grad()
def _embed(folder, image):
    """The class token after the last norm, of pixels prepared by hand."""
    x = np.asarray(image.resize((LONGER, LONGER), Image.Resampling.BICUBIC)) / 255
    edge = (LONGER - SIDE) // 2
    x = (x[edge : edge + SIDE, edge : edge + SIDE] - MEAN) / SPREAD
    pixels = torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None]
    return Dinov2Model.from_pretrained(folder)(pixels).last_hidden_state[0, 0]


def test_a_score_is_the_cosine_of_class_tokens(folder, images):
    a, *others = (_embed(folder, image) for image in images)
    expected = [float(a @ b / a.norm() / b.norm()) for b in others]
    assert dinov2_scores([images[0]] * 2, images[1:], source=folder) == pytest.approx(
        expected, abs=1e-4
    )
    assert max(expected) < 0.99


def test_one_original_serves_all_and_is_its_own_equal(folder, images):
    scores = dinov2_scores(images[:1], images * 12, source=folder)  # more than a batch
    assert len(scores) == 36
    assert scores[0] == pytest.approx(1, rel=rounding(terms=TEXT_NETWORK))


def test_without_the_hub_one_sentence_says_what_to_run(monkeypatch, tmp_path, images):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=f"{DINOV2}: the network .* Run `hf download {DINOV2}`"):
        dinov2_scores(images, images)
