"""Steps, guidance and steered steps in a real browser: chosen, linked, saved, and restored."""

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
    config = LearnConfig(iterations=3, learning_rate=0.5)
    for name, painting in (
        ("several", {"num_inference_steps": 3}),
        ("single", {"timesteps": [399]}),
    ):
        model = model_of("dmd2" if name == "single" else "sd")
        model.pipeline.scheduler.register_to_config(_painting=painting)
        model.name = save_model(model, tmp_path / name)
        maps = learn(model, prompts.source, prompts.target, config=config)
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


def test_a_range_of_steered_steps_is_typed_linked_restored_and_refused(studio):
    with served(studio) as url, visited(url + ASKED.format("several")) as page:
        page.wait_for_function(STRIP)
        page.get_by_text("The picture changed by").wait_for()  # nothing else is asked for now
        at_all_steps = _steered(page, "")
        box = page.get_by_label("Steered steps")
        box.press_sequentially("0-1", delay=200)  # unfinished texts are not refused
        box.press("Enter")
        early = _steered(page, "0-1", at_all_steps)
        assert page.locator(".toast-body").all_inner_texts() == []
        page.locator(".tiles button", has_text="seed 3, steered at 0-1").wait_for()
        link = page.url
        box.fill("2")
        box.press("Tab")
        late = _steered(page, "2", early)
        assert late != at_all_steps
        box.fill("the first")
        box.press("Tab")
        page.get_by_text("Give one step or a range such as 0-1").wait_for()
        page.locator(".tiles button").last.click()
        assert _steered(page, "", late) == at_all_steps
        assert box.input_value() == ""
        page.goto(link)
        page.wait_for_function(STRIP)
        assert _steered(page, "0-1") == early
        assert box.input_value() == "0-1"
        page.goto(url + ASKED.format("single"))
        page.wait_for_function(STRIP)
        assert box.count() == 0


def _steered(page, steps, other_than=None):
    """The source of the steered picture; waits for these steps in the address, and for another."""
    page.wait_for_function(
        """([steps, before]) =>
            (new URLSearchParams(location.search).get('steer_steps') ?? '') === steps &&
            ![undefined, before].includes(document.querySelector('#steered img')?.src)""",
        arg=[steps, other_than],
    )
    return page.locator("#steered img").get_attribute("src")
