"""Every tab and every panel in both themes, judged by axe-core."""

import shutil
from pathlib import Path

import pytest

from app.studio.studio import Studio
from lineas_core.paths import ASSETS
from tests.app.served import tiny_assets
from tests.browser.pages import CHROMIUM, STRIP, served, visible, visited

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
AXE = Path(__file__).parent / "axe" / "axe.min.js"
STILL = "*, ::before, ::after { transition: none !important; animation: none !important }"
# What a tab shows once its content is there.
READY = {
    "Images": ".scores p",
    "Text": ".passage .lam",
    "Chat": ".turn.empty",
    "Learn": "text=What the map should do",
    "Library": ".card",
    "How it works": ".transport",
    "Results": ".results h2",
}


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("judged")
    assets = tiny_assets(root)
    (assets / "tables").mkdir()
    for file in (ASSETS / "tables").glob("truthfulness.*"):
        shutil.copy(file, assets / "tables")
    with served(Studio(root / "data", assets=assets)) as url:
        yield url


def _violations(page, part):
    """What axe finds in a part of the page, which is light: rule, element, remedy.

    Themes differ in colours only, so that only the rules for these are applied to the dark one.
    """
    found = page.evaluate("part => axe.run(part)", part)["violations"]
    page.evaluate("document.body.classList.add('dark')")
    colours = "part => axe.run(part, {runOnly: ['color-contrast', 'link-in-text-block']})"
    found += page.evaluate(colours, part)["violations"]
    page.evaluate("document.body.classList.remove('dark')")
    return [
        (rule["id"], node["html"][:120], node["failureSummary"])
        for rule in found
        for node in rule["nodes"]
    ]


def test_no_tab_and_no_panel_violates_a_rule_of_accessibility(address):
    with visited(f"{address}?__theme=light") as page:
        page.wait_for_function(STRIP)
        page.add_style_tag(content=STILL)
        page.add_script_tag(path=AXE)
        found = {}
        for tab, ready in READY.items():
            page.locator("[role=tab][id]", has_text=tab).click()
            page.locator(ready).and_(page.locator(":visible")).first.wait_for()
            for closed in page.locator(".results:visible .label-wrap").all():
                closed.click()
            found[tab] = _violations(page, "html")
            panels = page.locator(".panels:visible [role=tab]")
            names = panels.all_inner_texts()
            for panel in panels.all():
                panel.click()
                found[f"{tab}, {panel.inner_text()}"] = _violations(page, ".panels")
            assert panels.all_inner_texts() == names  # Gradio repeats some beside a hidden part
        assert not any(found.values()), {k: each for k, each in found.items() if each}


def test_a_tab_has_an_address_and_back_returns_to_the_one_before(address):
    with visited(f"{address}#library") as page:
        page.locator(".card").first.wait_for()
        page.wait_for_function("document.body.dataset.opened")
        for tab, name in (("Learn", "learn"), ("How it works", "how-it-works")):
            page.get_by_role("tab", name=tab).click()
            page.wait_for_url(f"**#{name}")
        page.go_back()
        visible(page, "What the map should do").first.wait_for()
        page.go_back()
        page.locator(".card:visible").first.wait_for()
        assert page.url.endswith("#library")
        page.go_forward()
        visible(page, "What the map should do").first.wait_for()
