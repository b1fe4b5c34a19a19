"""Batches of pictures and texts, and the blind choice of texts, in a real browser."""

import csv
import json
import time
from functools import wraps
from threading import Event
from zipfile import ZipFile

import pytest
from PIL import Image

from app.studio.studio import Studio
from app.studio.texts import Texts
from app.widgets import sampling
from app.widgets.batch_handlers import BatchHandlers
from lineas_core import load_maps, load_model, save_maps
from lineas_core.methods import METHODS
from tests.app.served import PROMPTS, tiny_assets
from tests.browser.pages import CHROMIUM, MARKUP, STRIP, served, visible, visited

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
LINES = ("a b", "b c", MARKUP)
FULL_LENGTH = 8  # tokens
MANY = 200  # prompts of a batch that waits to be stopped: else it may be over before


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio with a map for pictures and the maps of three methods for texts."""
    root = tmp_path_factory.mktemp("batches")
    assets = tiny_assets(root)
    model = load_model(load_maps(assets / "maps" / "words").metadata["model"])
    for name in ("iti-c", "lin-act"):
        maps = METHODS[name].learn(model, PROMPTS.source, PROMPTS.target)
        save_maps(maps, assets / "maps" / f"words-{name}", prompts=PROMPTS)
    return Studio(root / "data", assets=assets)


@pytest.fixture(scope="module")
def address(studio):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "LENGTH", FULL_LENGTH)
        _hold_until_stopped(patch)
        with served(studio) as url:
            yield url


def _hold_until_stopped(patch):
    stopped, over, stop, write = Event(), Event(), BatchHandlers.stop, Texts.pairs

    @wraps(stop)
    def stopping(self, request):
        told = stop(self, request)
        stopped.set()
        over.wait()
        time.sleep(1)  # the answer to the click comes after the last one of the batch
        return told

    def held(self, entry, prompts, *args, **kwargs):
        try:
            for pairs in write(self, entry, prompts, *args, **kwargs):
                yield pairs
                if len(prompts) == MANY and pairs:
                    stopped.wait()
        finally:
            if len(prompts) == MANY:
                over.set()

    patch.setattr(BatchHandlers, "stop", stopping)
    patch.setattr(Texts, "pairs", held)


@pytest.fixture
def page(address):
    with visited(address) as page:
        page.wait_for_function(STRIP)
        yield page


def _open(page, tab, panel):
    """Open a panel of a tab whose first result is shown."""
    page.locator("[role=tab][id]", has_text=tab).click()
    if tab == "Text":
        page.locator(".passage .lam", has_text="+1.00").wait_for()
    page.locator(".panels:visible").get_by_role("tab", name=panel).click()


def _box(page):
    return page.get_by_role("textbox", name="Prompts One per line.").and_(page.locator(":visible"))


def _file(folder, name, text):
    file = folder / name
    file.write_text(text)
    return file


def _upload(page, file):
    """Fill the visible box of prompts from a file."""
    page.locator(".panels:visible [role=tabpanel]:visible input[type=file]").set_input_files(file)


def _downloaded(page, name):
    with page.expect_download() as download:
        page.locator("button:visible, a:visible", has_text=name).last.click()
    return download.value.path(), download.value.suggested_filename


def test_a_file_of_prompts_becomes_pairs_of_pictures_and_a_zip(page, tmp_path):
    _open(page, "Images", "Batch")
    box = _box(page)
    page.wait_for_function("box => box.value", arg=box.element_handle())  # examples
    quoted = MARKUP.replace('"', '""')
    _upload(page, _file(tmp_path, "prompts.csv", f'text\na b\nb c\nb c\n"{quoted}"\n'))
    page.get_by_text("1 duplicate dropped (line 4)").wait_for()
    page.wait_for_function("box => box.value.startsWith('a b')", arg=box.element_handle())
    visible(page, "Add 1 to the seed").check()
    page.get_by_role("button", name="Start the batch").click()
    page.get_by_text("3 of 3 prompts are done").wait_for()
    assert page.locator(".batch figure").count() == 3
    assert page.locator(".batch figure img").count() == 6
    assert page.evaluate("window.hacked") is None
    path, name = _downloaded(page, "Download as a zip")
    assert name == "pictures.zip"
    with ZipFile(path) as archive:
        archive.extractall(tmp_path)
        files = archive.namelist()
    recipes = []
    for file in files:
        with Image.open(tmp_path / file) as image:
            assert "parameters" in image.text
            recipes.append(json.loads(image.text["lineas"]))
    assert [recipe["prompt"] for recipe in recipes[::2]] == [*LINES]
    assert [recipe["seed"] for recipe in recipes] == [1, 1, 2, 2, 3, 3]
    assert [len(recipe["maps"]) for recipe in recipes] == [0, 1] * 3


def test_a_line_that_cannot_be_read_is_named(page, tmp_path):
    _open(page, "Images", "Batch")
    _upload(page, _file(tmp_path, "prompts.jsonl", '"a b"\n"b c\n'))
    page.get_by_text("prompts.jsonl, line 2").wait_for()


def test_a_file_of_prompts_becomes_a_table_of_texts(page, tmp_path):
    _open(page, "Text", "Batch")
    _upload(page, _file(tmp_path, "prompts.txt", "\n".join(LINES)))
    box = _box(page)
    page.wait_for_function("box => box.value.startsWith('a b')", arg=box.element_handle())
    page.get_by_role("button", name="Start the batch").and_(page.locator(":visible")).click()
    page.get_by_text("3 of 3 prompts are done").wait_for()
    assert page.locator(".batch tbody tr").count() == 3
    assert page.evaluate("window.hacked") is None
    path, name = _downloaded(page, "Download as CSV")
    assert name == "texts.csv"
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [row["prompt"] for row in rows] == [*LINES]
    assert {row["strength"] for row in rows} == {"1"}


def test_a_batch_is_stopped_and_what_is_done_is_kept(page):
    _open(page, "Text", "Batch")
    _box(page).fill("\n".join(f"line {k}" for k in range(MANY)))
    page.get_by_role("button", name="Start the batch").and_(page.locator(":visible")).click()
    page.locator(".batch tbody tr").first.wait_for()
    page.get_by_role("button", name="Stop", exact=True).and_(page.locator(":visible")).click()
    page.get_by_text(f"of {MANY} prompts are done").wait_for()
    path, _ = _downloaded(page, "Download as CSV")
    with open(path, encoding="utf-8-sig", newline="") as file:
        assert 0 < len([*csv.DictReader(file)]) < MANY


def test_texts_without_labels_are_voted_on(page, studio):
    _open(page, "Text", "Blind choice")
    for count in range(1, 6):
        page.get_by_role("button", name="Show texts").click()
        page.locator(".texts .passage").nth(3).wait_for()
        page.get_by_text("and most coherent?").wait_for()
        answers = page.locator(".answers:visible button")
        answers.nth(4).wait_for()
        assert answers.all_inner_texts() == ["A", "B", "C", "D", "Can’t tell"]
        answers.first.click()
        page.get_by_text("A was by").wait_for()
        answers.first.wait_for(state="hidden")
        page.locator(".preferences:visible td", has_text=f"of {count}").first.wait_for()
        assert page.locator(".preferences:visible .interval").count() == (4 if count == 5 else 0)
    (preference,) = studio.text_votes.preferences()
    assert preference.decided == 5
    assert {*preference.picked} == {"original", "lineas", "iti-c", "lin-act"}
