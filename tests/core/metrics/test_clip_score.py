import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tokenizers import pre_tokenizers
from transformers import CLIPConfig, CLIPModel

from lineas_core import UserError
from lineas_core.metrics.clip_score import CLIP, clip_scores
from lineas_core.models import hub
from tests.tolerance import TEXT_NETWORK, rounding

MEAN, SPREAD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny CLIP with the files that OpenAI's repositories on the hub have."""
    folder = tmp_path_factory.mktemp("clip")
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*letters, *(f"{x}</w>" for x in letters), "<|startoftext|>", "<|endoftext|>"]
    body = {"hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2}
    body |= {"num_attention_heads": 4, "initializer_factor": 10.0}
    config = CLIPConfig(
        text_config={
            **body,
            "vocab_size": len(tokens),
            "max_position_embeddings": 16,
            "bos_token_id": len(tokens) - 2,
            "eos_token_id": len(tokens) - 1,
        },
        vision_config={**body, "image_size": SIDE, "patch_size": 8},
        projection_dim=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    vocabulary = {token: number for number, token in enumerate(tokens)}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    preprocessor = {
        **dict.fromkeys(("do_center_crop", "do_normalize", "do_resize"), True),
        "feature_extractor_type": "CLIPFeatureExtractor",
        "image_mean": MEAN,
        "image_std": SPREAD,
        "resample": 3,
        "size": SIDE,
        "crop_size": SIDE,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    return str(folder)


@pytest.fixture(scope="module")
def images():
    """Three pictures: square, wide, high."""
    draw = np.random.default_rng(0).integers
    shapes = [(64, 64, 3), (50, 100, 3), (120, 40, 3)]
    return [Image.fromarray(draw(0, 255, shape, dtype=np.uint8)) for shape in shapes]


def _pixels(image):
    """By hand: the shorter side to 32, the middle of the longer one, each channel normalised."""
    width, height = image.size
    shorter = min(image.size)
    size = (width * SIDE // shorter, height * SIDE // shorter)
    x = np.asarray(image.resize(size, Image.Resampling.BICUBIC)) / 255
    top, left = (x.shape[0] - SIDE) // 2, (x.shape[1] - SIDE) // 2
    x = (x[top : top + SIDE, left : left + SIDE] - MEAN) / SPREAD
    return torch.tensor(x, dtype=torch.float32).permute(2, 0, 1)[None]


@torch.no_grad()
def _cosine(folder, image, text):
    network = CLIPModel.from_pretrained(folder)
    vocabulary = json.loads((Path(folder) / "vocab.json").read_text())
    letters = [f"{x}</w>" if end else x for x, end in zip(text, _word_ends(text), strict=True)]
    ids = [vocabulary[x] for x in letters if x[0] != " "][:14]
    ids = [vocabulary["<|startoftext|>"], *ids, vocabulary["<|endoftext|>"]]
    texts = network.text_model(input_ids=torch.tensor([ids])).last_hidden_state[:, -1]
    seen = network.vision_model(pixel_values=_pixels(image)).pooler_output
    a, b = network.visual_projection(seen)[0], network.text_projection(texts)[0]
    return float(a @ b / a.norm() / b.norm())


def _word_ends(text):
    return [after == " " for after in [*text[1:], " "]]


def test_a_score_is_the_cosine_of_pixels_and_letters_prepared_by_hand(folder, images):
    for text in ("a night", "a pink elephant in the snow"):  # the second is longer than it reads
        expected = [_cosine(folder, image, text) for image in images]
        assert clip_scores(images, text, source=folder) == pytest.approx(expected, abs=1e-4)
        assert max(expected) - min(expected) > 0.01


def test_pictures_of_other_modes_and_many_of_them_are_taken(folder, images):
    scores = clip_scores([images[0].convert("L")] * 33, "a night", source=folder)
    assert len(scores) == 33
    assert scores == pytest.approx([scores[0]] * 33, abs=rounding(terms=TEXT_NETWORK))
    assert clip_scores([], "a night", source=folder) == []


def test_without_the_hub_one_sentence_says_what_to_run(monkeypatch, tmp_path, images):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=f"{CLIP}: the network .* Run `hf download {CLIP}`"):
        clip_scores(images, "a night")


def test_a_folder_without_weights_is_named(tmp_path, images):
    with pytest.raises(UserError, match="is incomplete or damaged") as raised:
        clip_scores(images, "a night", source=str(tmp_path))
    assert str(tmp_path) in str(raised.value)
