"""The panel that asks for the columns of an uploaded file, in a real browser."""

import pytest

from app.studio.studio import Studio
from tests.browser.pages import CHROMIUM, served, visited

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="Chromium is missing: apt install chromium"
)
SOURCE, TARGET = "Source: steer away from these", "Target: steer towards these"
TABLE = """id,remark,flag
x1,"The weather is fine today, and so it stays",0
x2,You silly goose,1
x3,Nice work,0
x4,Foolish,1
"""


def test_columns_that_do_not_tell_are_asked_for_and_nothing_typed_is_lost(letters, tmp_path):
    (tmp_path / "remarks.csv").write_text(TABLE)
    with served(Studio(tmp_path / "data", assets=letters)) as url, visited(url) as page:
        page.get_by_role("tab", name="Learn").click()
        page.get_by_label(SOURCE).fill("my own prompt")
        page.locator(".learn input[type=file]").first.set_input_files(tmp_path / "remarks.csv")
        page.get_by_text("Which columns of remarks.csv?").wait_for()
        assert page.get_by_label(SOURCE).input_value() == "my own prompt"
        page.get_by_label("Column of the prompts").click()
        page.get_by_role("option", name="remark", exact=True).click()
        page.get_by_label("Label of the source prompts").click()
        page.get_by_role("option", name="1, such as “You silly goose”").click()
        page.screenshot(path=tmp_path / "panel.png")
        page.set_viewport_size({"width": 375, "height": 812})
        page.locator(".columns").screenshot(path=tmp_path / "narrow.png")
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
        page.get_by_role("button", name="Use these columns").click()
        page.get_by_text("Which columns of").wait_for(state="hidden")
        assert page.get_by_label(SOURCE).input_value() == "You silly goose\nFoolish"
        assert page.get_by_label(TARGET).input_value().startswith("The weather is fine today, and")
