"""The page in a real browser: a drag of the slider in 40 moves, and how much the page jumps.

`python -m benchmarks.page` needs Chromium and the shipped models.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page

from app.studio.studio import Studio
from tests.browser.dragging import Film, drag
from tests.browser.pages import STRIP, served, visible, visited

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


if __name__ == "__main__":
    main()
