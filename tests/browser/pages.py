"""A page in a real browser; complains where the page does."""

import shutil
import time
from collections import deque
from contextlib import contextmanager

import pytest

from app.blocks import app_options
from app.security import LOCAL, guarded
from app.ui import APPEARANCE, build_demo

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium")
SECONDS = 1000  # Playwright counts in milliseconds
STRIP = "() => document.querySelectorAll('.strip img').length === 9"
TRAFFIC = deque(maxlen=300)  # what the pages of a test sent and said; printed if it fails
MARKUP = '<img src=x onerror="window.hacked = true">'
# What Gradio says when a page is left amid an answer; the last two when its server forgets the
# session of the page that was left a moment before the browser has closed the stream.
LEFT = (
    "AbortError",
    "Unexpected error Connection errored out",
    "Unexpected error 404: Not Found",
    "Failed to load resource: net::ERR_INCOMPLETE_CHUNKED_ENCODING",
    "TypeError: network error",
)


@contextmanager
def served(studio, **options):
    """The address of a page over this studio."""
    demo = build_demo(studio).queue()
    # No call of its own address, which fails under load.
    options |= {"prevent_thread_lock": True, "quiet": True, "_frontend": False}
    app = app_options(guarded(LOCAL))
    _, url, _ = demo.launch(**APPEARANCE, **options, app_kwargs=app)
    try:
        yield url
    finally:
        demo.close()


@contextmanager
def visited(address):
    """The page, opened; afterwards: no complaint in its console, no request to elsewhere."""
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = visitor(browser)
        complaints = []
        page.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        yield page
        browser.close()
    home = address.partition("?")[0].partition("#")[0]
    ours = [line for line in complaints if not line.startswith(LEFT)]
    elsewhere = [url for url in asked if not url.startswith((home, "data:", "blob:"))]
    assert not ours + elsewhere, ours + elsewhere


def visitor(browser):
    """A page of somebody else, who shares nothing with the pages that are open."""
    context = browser.new_context(viewport={"width": 1280, "height": 1000})
    context.set_default_timeout(300 * SECONDS)  # met only where something hangs
    context.on("request", lambda sent: _note(sent.method, sent.url, sent.post_data or ""))
    context.on("response", lambda answer: _note(answer.status, answer.url))
    context.on("requestfailed", lambda sent: _note("failed", sent.url, sent.failure or ""))
    context.on("console", lambda line: _note("console", line.text))
    page = context.new_page()
    page.on("framenavigated", lambda frame: _note("opened", frame.url))
    return page


def _note(*facts):
    if not any("/assets/" in str(fact) or "/static/" in str(fact) for fact in facts):
        TRAFFIC.append(f"{time.strftime('%X')} {' '.join(str(fact)[:300] for fact in facts)}")


def visible(page, label):
    """The component with this label in the open tab."""
    return page.get_by_label(label).and_(page.locator(":visible"))
