"""Steps and guidance in a real browser: chosen, in the address, saved, and restored."""

import pytest

from app.studio.studio import Studio
from lineas_core import LearnConfig, PromptSet, learn, save_maps
from lineas_core.pictures import read_recipe
from tests.browser.pages import CHROMIUM, STRIP, served, visited
from tests.fakes import save_model
from tests.pipelines import model_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing"),
]
ASKED = "?map={}&strength=1&seed=3&prompt=a%20b"


@pytest.fixture
def studio(tmp_path):
    """A studio with a map for a model of three steps, and one for a model of a single step."""
    prompts = PromptSet(("a b", "c d"), ("e", "f"), name="Letters")
    for name, painting in (
        ("several", {"num_inference_steps": 3}),
        ("single", {"timesteps": [399]}),
    ):
        model = model_of("dmd2" if name == "single" else "sd")
        model.pipeline.scheduler.register_to_config(_painting=painting)
        model.name = save_model(model, tmp_path / name)
        maps = learn(model, prompts.source, prompts.target, config=LearnConfig(iterations=1))
        save_maps(maps, tmp_path / "data" / "maps" / name, prompts=prompts)
    return Studio(tmp_path / "data", assets=tmp_path / "none")


def test_steps_are_chosen_saved_and_restored_where_a_model_takes_others(studio, tmp_path):
    chosen, default = "() => location.search.includes('steps=5')", "() => !/steps=/.test(location)"
    with served(studio) as url, visited(url + ASKED.format("several")) as page:
        page.wait_for_function(STRIP)
        steps = page.get_by_label("Steps", exact=True)
        steps.wait_for()
        assert steps.get_attribute("placeholder") == "3"
        assert page.get_by_label("Guidance").get_attribute("placeholder") == "7.5"
        steps.fill("5")
        page.wait_for_function(chosen)
        with page.expect_download() as saved:
            page.get_by_role("button", name="Save", exact=True).click()
        saved.value.save_as(tmp_path / "saved.png")
        assert read_recipe(tmp_path / "saved.png").num_inference_steps == 5
        steps.fill("")
        page.wait_for_function(default)
        upload = page.locator("[role=tabpanel]:visible input[type=file]").first
        upload.set_input_files(tmp_path / "saved.png")
        page.wait_for_function(chosen)
        assert steps.input_value() == "5"
        page.goto(url + ASKED.format("single"))
        page.wait_for_function(STRIP)
        assert steps.count() == 0
