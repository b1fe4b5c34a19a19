"""The flow of the Library in a real browser, over a tiny model for pictures."""

import shutil
from threading import Event

import pytest

from app.studio.studio import Studio
from lineas_core import SteeringMaps, load_maps, save_maps
from lineas_core.tables import DETAILS
from tests.browser.pages import CHROMIUM, MARKUP, STRIP, served, visible, visited

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")


@pytest.fixture
def studio(letters, tmp_path):
    return Studio(tmp_path / "data", assets=letters)


@pytest.fixture
def address(studio):
    with served(studio) as url:
        yield url


@pytest.fixture
def page(address):
    with visited(address) as page:
        page.wait_for_function(STRIP)
        page.get_by_role("tab", name="Library").click()
        _shown(page, "Letters")
        yield page


_CUT = """() => [...document.querySelectorAll('.card, .card small')]
    .filter(part => part.scrollWidth > part.clientWidth).map(part => part.textContent)"""


def _shown(page, title):
    """Wait until the sheet of this map is shown and its card is the marked one."""
    page.locator(".chosen h2").filter(has_text=title).wait_for()
    page.locator(".card[aria-pressed=true]").filter(has_text=title).wait_for()


def _cards(page, titles):
    """Wait until there are these cards, in this order."""
    page.wait_for_function(
        """titles => [...document.querySelectorAll('.card b')].map(b => b.textContent).join()
            === titles.join()""",
        arg=titles,
    )


def test_a_copy_is_renamed_deleted_brought_back_and_used(page):
    assert page.get_by_role("button", name="Delete").count() == 0  # it is ready-made
    page.get_by_role("button", name="Duplicate").click()
    _shown(page, "Letters (copy)")
    visible(page, "Name").fill(MARKUP)
    page.get_by_role("button", name="Rename").click()
    _shown(page, MARKUP)
    _cards(page, [MARKUP, "Letters"])

    page.get_by_role("button", name="Delete").click()
    page.locator(".undo").filter(has_text=f"“{MARKUP}” was deleted.").wait_for()
    _shown(page, "Letters")
    _cards(page, ["Letters"])
    page.get_by_role("tab", name="Images").click()
    visible(page, "Concept").click()
    page.get_by_role("option", name="Letters").wait_for()
    assert page.get_by_role("option").count() == 1

    page.get_by_role("tab", name="Library").click()
    page.get_by_role("button", name="Undo").click()
    _shown(page, MARKUP)
    _cards(page, [MARKUP, "Letters"])
    assert not page.locator(".undo").is_visible()

    page.get_by_role("button", name="Use in Images").click()
    page.wait_for_function(
        "title => [...document.querySelectorAll('input')].some(i => i.value.startsWith(title))",
        arg=MARKUP,
    )
    page.wait_for_function(STRIP)
    assert page.evaluate("window.hacked") is None


def test_an_exported_map_comes_back_from_its_zip(page, studio, tmp_path):
    page.get_by_role("button", name="Export and publish").click()
    page.get_by_role("button", name="As a zip").click()
    with page.expect_download() as download:
        page.locator(".chosen .file-preview a").first.click()
    download.value.save_as(tmp_path / "letters.zip")
    visible(page, "Search").press_sequentially("zzz")
    page.get_by_text("No map has these words").wait_for()
    page.locator("input[type=file][accept*='.zip']").set_input_files(tmp_path / "letters.zip")
    _cards(page, ["Letters", "Letters"])
    visible(page, "Name").wait_for()  # only of one's own
    shipped, own = studio.maps()
    assert own.metadata["sha256"] == shipped.metadata["sha256"]


def test_an_export_that_takes_long_says_so_and_is_not_shown_under_another_map(
    page, studio, monkeypatch
):
    over = Event()

    def export(entry, strength, folder):
        over.wait()
        return _exported(entry, strength, folder)

    _exported = studio.export_weights
    monkeypatch.setattr(studio, "export_weights", export)
    page.get_by_role("button", name="Export and publish").click()
    button = page.get_by_role("button", name="The model with the map in it")
    button.click()
    page.get_by_text("“Letters” is being exported").wait_for()
    assert button.is_disabled()
    page.get_by_role("button", name="Duplicate").click()
    visible(page, "Name").wait_for()  # only of one's own
    over.set()
    page.get_by_text("“Letters” is not chosen any more").wait_for()
    assert not page.locator(".chosen .file-preview").is_visible()
    page.get_by_text("“Letters” is being exported").wait_for(state="detached")
    button.click()
    page.locator(".chosen .file-preview a").first.wait_for()


def test_no_card_is_cut_and_a_narrow_library_scrolls_in_one_direction_only(page, studio, tmp_path):
    maps = load_maps(studio.maps()[0].folder)
    facts = {**maps.metadata, "title": "Measured", "heldout_start": 1.0, "heldout": 0.5}
    save_maps(SteeringMaps(maps.maps, facts), tmp_path / "data" / "maps" / "measured")
    page.get_by_role("tab", name="Images").click()
    page.get_by_role("tab", name="Library").click()
    _cards(page, ["Measured", "Letters"])
    assert page.locator(".card em.yours").is_visible()
    assert page.evaluate(_CUT) == []
    page.set_viewport_size({"width": 375, "height": 812})
    page.locator(".chosen .bars").last.wait_for()
    page.wait_for_function("document.documentElement.scrollWidth <= 375")
    assert page.get_by_role("button", name="Use in Images").bounding_box()["y"] < 812


@pytest.fixture
def measured(letters, tmp_path):
    """Assets with a table of results."""
    root = shutil.copytree(letters, tmp_path / "assets")
    (root / "tables").mkdir()
    columns = " | ".join(f"column {number}" for number in range(30))
    table = f"| {columns} |\n|{'---|' * 30}\n| {columns} |\n\n`the command`"
    (root / "tables" / "topics.json").write_text("[]")
    text = f"# Some table\n\nMost of it is gone.\n\n| short |\n|---|\n\n{DETAILS}\n\n{table}\n"
    (root / "tables" / "topics.md").write_text(text)
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><circle r="4"/></svg>'
    (root / "tables" / "topics.svg").write_text(drawing)
    return root


def test_results_show_drawing_table_and_command_also_on_a_narrow_page(measured, tmp_path):
    with served(Studio(tmp_path / "data", assets=measured)) as url, visited(url) as page:
        page.wait_for_function(STRIP)
        page.get_by_role("tab", name="Results", exact=True).click()
        page.get_by_text("Most of it is gone.").wait_for()
        assert not page.get_by_text("the command", exact=True).is_visible()
        page.get_by_role("button", name="Drawing and table").click()
        page.get_by_alt_text("Some table, as curves").wait_for()
        page.get_by_role("button", name="How it was measured").click()
        page.get_by_text("the command", exact=True).wait_for()
        assert page.get_by_role("cell", name="column 29").count() == 1
        page.set_viewport_size({"width": 375, "height": 812})
        page.wait_for_function("document.documentElement.scrollWidth <= 375")
