"""A menu that is left without another choice changes nothing, and a choice is told once."""

import pytest

from app.studio.studio import Studio
from tests.browser.pages import CHROMIUM, SECONDS, STRIP, served, visible, visited
from tests.browser.test_upload import SOURCE, TABLE

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
QUIET = 1 * SECONDS  # in which an answer would have come


@pytest.fixture(scope="module")
def address(letters, tmp_path_factory):
    with served(Studio(tmp_path_factory.mktemp("menus"), assets=letters)) as url:
        yield url


@pytest.fixture
def page(address):
    with visited(address) as page:
        page.wait_for_function(STRIP)
        page.evaluate(
            """() => {
              window.asked = [];
              const send = window.fetch;
              window.fetch = (...all) => {
                if (String(all[0]).includes("queue/join")) window.asked.push(all[1].body);
                return send(...all);
              };
            }"""
        )
        yield page


def _asked(page):
    """The values of the requests since the last call."""
    page.wait_for_timeout(QUIET)
    return page.evaluate("() => window.asked.splice(0)")


def test_prompts_edited_after_a_set_was_loaded_stay_when_its_menu_is_left(page):
    page.get_by_role("tab", name="Learn").click()
    sets, source = visible(page, "Load a ready-made set"), visible(page, SOURCE)
    sets.click()
    page.get_by_role("option").first.click()
    page.wait_for_function("box => box.value", arg=source.element_handle())
    loaded = source.input_value()
    source.fill("my own prompt")
    sets.focus()
    page.keyboard.press("Tab")
    page.wait_for_timeout(QUIET)
    assert source.input_value() == "my own prompt"
    sets.click()  # who chooses the set again wants it
    page.get_by_role("option").first.click()
    page.wait_for_function(
        "([box, text]) => box.value === text", arg=[source.element_handle(), loaded]
    )


def test_values_of_a_grid_stay_when_its_menu_is_left(page):
    page.get_by_role("tab", name="Grid").and_(page.locator(":visible")).click()
    values = page.get_by_role("textbox", name="Values of the rows")
    page.wait_for_function("box => box.value", arg=values.element_handle())
    values.fill("7, 9")
    visible(page, "Rows").and_(page.get_by_role("combobox")).focus()
    page.keyboard.press("Tab")
    page.wait_for_timeout(QUIET)
    assert values.input_value() == "7, 9"


@pytest.mark.parametrize("way", ["click", "keys"])
def test_the_choice_of_a_column_is_asked_for_once(page, tmp_path, way):
    (tmp_path / "remarks.csv").write_text(TABLE)
    page.get_by_role("tab", name="Learn").click()
    page.locator(".learn input[type=file]").first.set_input_files(tmp_path / "remarks.csv")
    page.get_by_text("Which columns of remarks.csv?").wait_for()
    menu = page.get_by_label("Column of the prompts")
    _asked(page)
    menu.click()
    if way == "click":
        page.get_by_role("option", name="remark", exact=True).click()
    else:
        page.keyboard.type("rem")
        page.get_by_role("option", name="id", exact=True).wait_for(state="detached")
        page.keyboard.press("Enter")
    page.get_by_label("Label of the source prompts").click()
    page.get_by_role("option", name="1, such as “You silly goose”").wait_for()
    asked = [body for body in _asked(page) if '"remark"' in body]
    assert len(asked) == 1, asked


def test_a_label_that_is_chosen_outlasts_another_column_of_prompts(page, tmp_path):
    (tmp_path / "remarks.csv").write_text(TABLE)
    page.get_by_role("tab", name="Learn").click()
    page.locator(".learn input[type=file]").first.set_input_files(tmp_path / "remarks.csv")
    page.get_by_text("Which columns of remarks.csv?").wait_for()
    label = page.get_by_label("Label of the source prompts")
    for column in ("remark", "id"):
        page.get_by_label("Column of the prompts").click()
        page.get_by_role("option", name=column, exact=True).click()
        if column == "remark":
            label.click()
            page.get_by_role("option", name="1, such as “You silly goose”").click()
    page.wait_for_timeout(QUIET)
    assert label.input_value() == "1, such as “x2”"
