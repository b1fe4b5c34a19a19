"""More pages of one browser than it has connections to a server."""

import pytest

from app.studio.studio import Studio
from tests.browser.pages import CHROMIUM, STRIP, served, visible, visited

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
TABS = 8


@pytest.mark.slow
def test_eight_open_tabs_all_paint(letters, tmp_path):
    with served(Studio(tmp_path, assets=letters)) as url, visited(url) as first:
        pages = [first, *(first.context.new_page() for _ in range(TABS - 1))]
        for page in pages[1:]:
            page.goto(url)
        for page in pages:
            page.wait_for_function(STRIP)
        for page in (pages[0], pages[-1]):
            page.bring_to_front()
            visible(page, "range slider for λ").press("Home")
            page.wait_for_url("**strength=-1&**")
            page.locator("text=Painting").wait_for(state="detached")
