"""What somebody types while the server is slow stays, whatever its answers bring."""

import pytest

from app.studio.studio import Studio
from lineas_core import SteeringMaps, load_maps, save_maps
from tests.app.served import tiny_assets
from tests.browser.dragging import SLOW
from tests.browser.pages import CHROMIUM, SECONDS, STRIP, served, visible, visited

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
MINE = "typed"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with two maps for pictures and two for texts."""
    root = tmp_path_factory.mktemp("typed")
    assets = tiny_assets(root)
    for folder in [*(assets / "maps").iterdir()]:
        maps = load_maps(folder)
        other = {**maps.metadata, "title": "Other", "keywords": ["with cd"]}
        save_maps(SteeringMaps(maps.maps, other), folder.with_name(f"{folder.name}-other"))
    with served(Studio(root / "data", assets=assets)) as url:
        yield url


@pytest.fixture
def page(address):
    with visited(address) as page:
        page.set_default_timeout(15 * SECONDS)
        page.add_init_script(SLOW)
        page.reload()
        page.wait_for_function(STRIP)
        yield page


def _hold(page, text):
    page.evaluate("text => (window.slow.text = text)", text)


def _type_meanwhile(page, box):
    """Type while an answer is held back, then let it through, and wait until it has arrived."""
    page.wait_for_function("!!window.slow.release")
    box.fill(MINE)
    page.evaluate("window.slow.release()")


def _choose(page, title):
    visible(page, "Concept").click()
    page.get_by_role("option", name=title).first.click()


def _address_has(page, text):
    page.wait_for_function("text => location.search.includes(text)", arg=text)


def test_the_prompt_of_a_picture_outlasts_the_choice_of_a_map(page):
    prompt = visible(page, "What to paint")
    assert prompt.input_value().endswith("with ab")
    _hold(page, "sample_labels")
    _choose(page, "Other")
    _type_meanwhile(page, prompt)
    _address_has(page, "typed")  # its picture was asked for
    assert prompt.input_value() == MINE


def test_a_choice_right_after_another_one_adapts_the_example(page):
    """What the answer to the first has put into the box was not typed."""
    prompt = visible(page, "What to paint")
    scene = prompt.input_value().removesuffix(", with ab")
    prompt.fill(scene)
    _hold(page, "sample_labels")
    _choose(page, "Other")
    page.wait_for_function("!!window.slow.release")
    _choose(page, "Letters")
    page.evaluate("window.slow.release()")
    box = prompt.element_handle()
    page.wait_for_function("([box, text]) => box.value === text", arg=[box, f"{scene}, with ab"])


@pytest.mark.parametrize(
    ("panel", "label", "example"),
    [("Batch", "Prompts", r"with ab\n"), ("Grid", "Values of the rows", '-5"')],
)
def test_what_fills_an_empty_panel_leaves_what_is_typed(page, panel, label, example):
    _hold(page, example)
    page.get_by_role("tab", name=panel).and_(page.locator(":visible")).click()
    box = page.get_by_role("textbox", name=label)
    _type_meanwhile(page, box)
    _choose(page, "Other")  # is answered after that
    _address_has(page, "other")
    assert box.input_value() == MINE


def test_a_link_leaves_what_is_typed_before_it_is_answered(page, address):
    page.add_init_script("window.slow.text = 'from the link'")
    page.goto(f"{address}?map=letters&strength=0.5&seed=3&prompt=from+the+link")
    prompt = visible(page, "What to paint")
    _type_meanwhile(page, prompt)
    _address_has(page, "typed")
    assert prompt.input_value() == MINE
    assert visible(page, "number input for λ").input_value() == "0.5"


def test_the_prompt_of_a_text_outlasts_the_choice_of_a_map(page):
    page.get_by_role("tab", name="Text").click()
    page.locator(".passage .lam", has_text="+1.00").wait_for()
    prompt = visible(page, "Prompt to continue")
    prompt.fill("")
    _hold(page, '"samples"')
    _choose(page, "Other")
    _type_meanwhile(page, prompt)
    _address_has(page, "typed")
    assert prompt.input_value() == MINE
