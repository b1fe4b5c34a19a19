import json
from io import BytesIO

from PIL import Image

from app.studio.picture_cache import Painted, PictureCache
from lineas_core.pictures import Recipe


def _picture(strength=0.5):
    recipe = Recipe("a castle", 7, "tiny", 8, "LCMScheduler", [("robot", strength)])
    return Painted(Image.new("RGB", (8, 8)), recipe)


def test_the_picture_not_looked_at_for_longest_goes_first():
    album, pictures = PictureCache(pixels=128), [_picture() for _ in range(3)]
    album.add("a", pictures[0])
    album.add("b", pictures[1])
    album.add("b", pictures[1])  # counts once
    assert album.get("a") is pictures[0]
    album.add("c", pictures[2])
    assert album.get("b") is None
    assert album.get("a") is pictures[0]
    assert album.get("c") is pictures[2]


def test_one_picture_is_kept_however_large():
    album = PictureCache(pixels=1)
    album.add("a", _picture())
    assert album.get("a") is not None


def test_a_saved_picture_says_how_it_was_made():
    with Image.open(BytesIO(_picture().png())) as image:
        assert json.loads(image.text["lineas"])["maps"] == [["robot", 0.5]]
        assert image.text["parameters"].startswith("a castle\nSteps: 1")
