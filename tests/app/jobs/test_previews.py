import json

from PIL import Image

from app.jobs.previews import preview
from lineas_core import LearnConfig, learn
from lineas_core.methods import METHODS
from tests.fakes import tiny_image_model, tiny_language_model

CONFIG = LearnConfig(iterations=3, learning_rate=0.5)


def test_an_image_model_leaves_one_picture_for_every_strength(tmp_path):
    model = tiny_image_model()
    maps = learn(model, ["a b", "b c"], ["y z", "x y"], config=CONFIG)
    record = preview(model, maps, "a castle", tmp_path, 20)
    assert json.loads(json.dumps(record))["strengths"] == [-1.0, -0.5, 0.0, 0.5, 1.0]
    pictures = [Image.open(tmp_path / name) for name in record["pictures"]]
    assert [json.loads(p.text["lineas"])["maps"][0][1] for p in pictures] == [*record["strengths"]]
    assert pictures[0].tobytes() != pictures[2].tobytes()
    again = preview(model, maps, "a castle", tmp_path, 20)  # a resumed job comes here twice
    assert not set(again["pictures"]) & set(record["pictures"])


def test_the_picture_of_another_method_names_it_as_its_paper_does(tmp_path):
    model = tiny_image_model()
    maps = METHODS["lin-act"].learn(model, ["a b", "b c"], ["y z", "x y"])
    record = preview(model, maps, "a castle", tmp_path, 0)
    picture = Image.open(tmp_path / record["pictures"][0])
    assert json.loads(picture.text["lineas"])["maps"][0][0] == "Lin-AcT"


def test_a_language_model_leaves_a_text(tmp_path):
    model = tiny_language_model()
    maps = learn(model, ["a b", "b c"], ["y z", "x y"], config=CONFIG)
    record = preview(model, maps, "once", tmp_path, 20)
    assert record["strength"] == 1.0
    assert record["text"]
    assert not list(tmp_path.iterdir())
