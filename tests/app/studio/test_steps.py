"""Pictures in other numbers of steps, painted by a tiny model that takes them."""

import pytest

from app.studio.maps import read_map
from app.studio.models import Models
from app.studio.pictures import Pictures
from app.studio.steps import Steps, checked_steps, range_text
from lineas_core import LearnConfig, PromptSet, UserError, learn, save_maps
from lineas_core.models.denoising import Denoising
from tests.fakes import save_model
from tests.pipelines import model_of


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    root, model = tmp_path_factory.mktemp("steps"), model_of("sd")
    model.pipeline.scheduler.register_to_config(_painting={"num_inference_steps": 2})
    model.name = save_model(model, root / "model")
    prompts = PromptSet(("a b", "c d"), ("e", "f"))
    maps = learn(model, prompts.source, prompts.target, config=LearnConfig(iterations=1))
    save_maps(maps, root / "letters", prompts=prompts)
    return read_map("letters", "yours", root / "letters")


def test_pictures_are_painted_and_cached_by_their_steps(entry):
    pictures = Pictures(Models())
    assert pictures.denoising(entry.model) is None
    (usual,) = pictures.paint([entry], "a b", [[0.0]])
    known = pictures.denoising(entry.model)
    steps = Steps(known.num_inference_steps + 1, 2.5)
    other = pictures.with_steps(steps)
    assert other.painted([entry], "a b", [[0.0]]) is None
    (painted,) = other.paint([entry], "a b", [[0.0]])
    assert (painted.recipe.num_inference_steps, painted.recipe.guidance_scale) == steps[:2]
    assert usual.recipe.num_inference_steps == known.num_inference_steps
    assert pictures.denoising(entry.model) == known
    assert other.painted([entry], "a b", [[0.0]]) == [painted]
    assert pictures.painted([entry], "a b", [[0.0]]) == [usual]


def test_maps_act_at_a_range_of_the_steps_alone(entry):
    pictures = Pictures(Models())
    first, second, both = (
        pictures.with_steps(Steps(2, 2.5, at)).paint([entry], "a b", [[0.0], [1.0]])
        for at in ((0, 0), (1, 1), None)
    )
    assert len({each[0].image.tobytes() for each in (first, second, both)}) == 1  # λ = 0
    assert [first[1].recipe.steer_at, both[1].recipe.steer_at] == [(0, 0), None]
    assert first[1].image.tobytes() != second[1].image.tobytes()
    for steps, sentence in (
        (Steps(2, 2.5, (0, 2)), "are 0-2, but the picture is painted in 2 steps.*from 0 to 1"),
        (Steps(None, None, (2, 2)), "are 2, but the picture is painted in 2 steps"),
        (Steps(1, None, (1, 1)), "are 1, but the picture is painted in 1 step. Leave them out"),
    ):
        with pytest.raises(UserError, match=sentence):
            pictures.with_steps(steps).paint([entry], "a b", [[0.0]])


@pytest.mark.parametrize(
    ("text", "steered"),
    [("", None), (" ", None), ("0-1", (0, 1)), (" 0 – 12 ", (0, 12)), ("3", (3, 3))],
)
def test_a_range_can_be_a_text(text, steered):
    assert checked_steps(None, None, text) == Steps(steered=steered)
    assert checked_steps(None, None, range_text(steered)) == Steps(steered=steered)


@pytest.mark.parametrize(
    "steered",
    [
        *([0], [0, 1, 2], [-1, 0], [0, 1.5], ["0", 1], 1, {"0": 1}),
        *("first", "0-", "-1", "0-1-2", "0,1", "1-0", "100", "0-1000", "9" * 9999),
    ],
)
def test_a_range_that_is_none_is_one_sentence(steered):
    with pytest.raises(UserError, match="Give"):
        checked_steps(None, None, steered)


def test_a_model_that_takes_no_others_says_so(entry):
    with pytest.raises(UserError, match="guidance_scale is"):
        Pictures(Models()).with_steps(Steps(1, 101)).paint([entry], "a b", [[0.0]])


def test_the_catalog_knows_the_models_of_a_fixed_number_of_steps():
    known = Pictures(Models()).denoising("emoji-world")
    assert (known.num_inference_steps, known.timesteps) == (1, (399,))
    assert Steps(1, 0.0).beyond(known) == Steps()


def test_what_is_the_default_is_left_out():
    assert Steps(4, 2.5).beyond(None) == Steps(4, 2.5)
    assert Steps(4, 2.5).beyond(Denoising(4, 3.5)) == Steps(None, 2.5)
    assert Steps(steered=(0, 3)).beyond(Denoising(4, 3.5)) == Steps()
    assert Steps(5, None, (0, 3)).beyond(Denoising(4, 3.5)) == Steps(5, None, (0, 3))
