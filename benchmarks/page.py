"""The page in a real browser: a drag of the slider, how it jumps, the way to a map of one's own.

`python -m benchmarks.page` needs Chromium and the shipped models.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page

from app.studio.studio import Studio
from tests.browser.dragging import Film, drag
from tests.browser.pages import STRIP, served, visible, visited

_STYLE, _AIM = "ukiyo-e", "remove a style"
_LEARNING = "This map is still being learnt"  # beside the map
_SIZES = ((1440, 900), (375, 812))
_READY = {
    "images": "document.querySelector('.scores p') && (" + STRIP + ")()",
    "text": """(() => {
        const scores = [...document.querySelectorAll('.passage footer b')];
        return scores.length === 6 && scores.every((each) => each.textContent !== '…');
    })()""",
}
# Sums the layout shifts that follow no input (https://web.dev/articles/cls).
_SUM_SHIFTS = """
window.shift = 0;
new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) window.shift += each.value;
}).observe({ type: 'layout-shift', buffered: true });
"""


def main() -> None:
    """Measure a page over the shipped models, and print the figures."""
    with (
        tempfile.TemporaryDirectory() as folder,
        served(Studio(Path(folder))) as url,
        visited(url) as page,
    ):
        page.wait_for_function(STRIP)
        film = Film(page)
        for strength in (-0.6, 0.8):
            print(_dragged(page, film, strength))
        for tab, ready in _READY.items():
            for size in _SIZES:
                shift = _shift(page.context.browser, f"{url}#{tab}", ready, size)
                print(f"{tab}, {size[0]} px: layout shift {shift:.3f}")
        for line in _own_map(page):
            print(line)


def _dragged(page: Page, film: Film, to: float) -> str:
    """Drag the slider, wait for the picture of its last place, and describe the frames."""
    drag(page, to)
    last = float(visible(page, "range slider for λ").input_value())
    film.wait_for(last)
    frames, late = film.frames, film.late()
    page.evaluate("window.frames_seen.splice(0, window.frames_seen.length - 1)")
    moved = next(k for k, each in enumerate(frames) if frames[-1]["hand"] == each["hand"])
    shown = next(each for each in frames[moved:] if film.strength(each["seen"]) == last)
    return (
        f"40 moves to λ = {last:+.2f} in {(frames[moved]['at'] - frames[0]['at']) / 1000:.1f} s: "
        f"{len({each['seen'] for each in frames})} pictures, "
        f"{sum(not each['seen'] for each in frames)} blank frames, "
        f"{len(late)} late ones, "
        f"{(shown['at'] - frames[moved]['at']) / 1000:.2f} s from the last move to its picture"
    )


def _shift(browser: Browser, address: str, ready: str, size: tuple[int, int]) -> float:
    """Open a tab in a window of this size, and return by how much it jumps until it is ready."""
    width, height = size
    page = browser.new_page(viewport={"width": width, "height": height})
    page.set_default_timeout(0)
    page.add_init_script(_SUM_SHIFTS)
    page.goto(address)
    page.wait_for_function(ready)
    page.wait_for_timeout(1000)
    shift = page.evaluate("window.shift")
    page.close()
    return shift


def _own_map(page: Page) -> Iterator[str]:
    """Learn a style by its name in the quick budget, and tell each click with its seconds."""
    began = time.monotonic()

    def told(what: str) -> str:
        return f"{time.monotonic() - began:.1f} s: {what}"

    page.get_by_role("tab", name="Learn").click()
    page.get_by_label("Or name a concept").fill(_STYLE)
    page.get_by_label("What the map should do").click()
    page.get_by_role("option", name=_AIM).click()
    page.get_by_role("button", name="Write the prompts").click()
    page.locator(".counter .enough").nth(1).wait_for()
    yield told(f"tab Learn, {_STYLE!r}, menu, {_AIM!r}, Write the prompts")
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_role("button", name="Try it").click()
    yield told("Start, then Try it, which appears with the first estimate")
    page.get_by_text(_LEARNING).wait_for()
    page.wait_for_function(STRIP)
    yield told("the pictures of the first estimate")
    page.get_by_text(_LEARNING).wait_for(state="detached")
    page.wait_for_function(STRIP)
    yield told("the map is learnt, and the pictures have followed it")


if __name__ == "__main__":
    main()
