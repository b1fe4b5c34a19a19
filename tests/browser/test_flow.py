"""The whole flow of texts in a real browser, with the real embedded model, a few iterations."""

from contextlib import suppress

import pytest

from app.studio.studio import Studio
from app.widgets import sampling
from lineas_core.models import Sampling, installed
from tests.browser.pages import CHROMIUM, MARKUP, SECONDS, playwright, served, visible, visited

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing: apt install chromium"),
    pytest.mark.skipif(not installed("smollm2-135m"), reason="SmolLM2 is not installed"),
]
WRITTEN = """() => {
    const scores = [...document.querySelectorAll('.passage footer b')];
    return scores.length === 6 && scores.every(b => b.textContent !== '…');
}"""


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return Studio(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def address(studio):
    """The page, which writes short texts: what they are is not what these tests claim."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "LENGTH", 16)
        with served(studio) as url:
            yield url


@pytest.fixture
def page(address):
    with visited(address) as page:
        page.get_by_role("tab", name="Text").click()
        yield page


def _texts(page, strength):
    """Move the slider and wait until both texts of that strength are written and judged."""
    box = visible(page, "number input for λ")
    box.fill(str(strength))
    box.press("Enter")
    label = "λ = 0" if strength == 0 else f"λ = {strength:+.2f}".replace("-", "−")
    page.locator(".passage .lam").nth(1).filter(has_text=label).wait_for()
    page.wait_for_function(WRITTEN)
    # A text that is likely offensive is there twice: blurred, and to be opened.
    return [each.locator(".text").first.inner_text() for each in page.locator(".passage").all()]


def test_the_slider_bends_a_text_on_the_first_visit(page):
    page.wait_for_function(WRITTEN)
    original, same = _texts(page, 0)
    assert original == same
    untouched, steered = _texts(page, 1)
    assert untouched == original
    assert steered != original


@pytest.mark.slow
def test_a_style_is_learnt_across_a_reload_and_then_steers(page):
    page.get_by_role("tab", name="Learn").click()
    page.get_by_label("Model", exact=True).click()
    page.get_by_role("option", name="SmolLM2").click()
    # Gradio complains of an open list whose choices are exchanged: first the form has to follow.
    page.wait_for_function(
        "[...document.querySelectorAll('input')].some(i => i.value === 'write about it')"
    )
    page.get_by_label("Load a ready-made set").click()
    page.get_by_role("option", name="Football").click()
    page.get_by_text("50 prompts").first.wait_for()
    # A few of them: a pass through all takes most of a minute beside another busy process.
    page.get_by_label("Source: steer").fill("One.\nTwo.\nThree.")
    page.get_by_label("Target: steer").fill("A goal.\nA match.\nA coach.")
    page.get_by_text("prompts (32 recommended)").first.wait_for()
    page.locator("button.label-wrap:visible", has_text="Settings").click()
    page.get_by_label("Held-out prompts").fill("1")
    page.get_by_label("Iterations", exact=True).fill("3")
    page.get_by_role("button", name="Start", exact=True).click()
    page.locator(".job").wait_for()
    page.reload()
    page.get_by_role("tab", name="Learn").click()
    page.locator(".job.done").wait_for()
    page.locator(".report li").first.wait_for()
    page.get_by_role("button", name="Try it").click()
    page.wait_for_function(
        "[...document.querySelectorAll('input')].some(i => i.value.includes('yours'))"
    )
    original, steered = _texts(page, 0.95)
    assert original
    assert steered


def test_a_binary_upload_is_one_sentence_and_loses_nothing(page, tmp_path):
    page.get_by_role("tab", name="Learn").click()
    page.get_by_label("Source: steer away from these").fill("my own prompt")
    picture = tmp_path / "prompts.txt"
    picture.write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")
    page.locator("[role=tabpanel]:visible input[type=file]").first.set_input_files(picture)
    notice = page.get_by_text("binary")
    notice.wait_for()
    assert "Traceback" not in page.content()
    assert page.get_by_label("Source: steer away from these").input_value() == "my own prompt"


def test_a_narrow_page_scrolls_in_one_direction_only(page, address):
    page.set_viewport_size({"width": 375, "height": 812})
    page.goto(address)
    page.get_by_role("tab", name="Text").click()
    page.wait_for_function(WRITTEN)
    for tab in ("Text", "Learn"):
        page.get_by_role("tab", name=tab).click()
        if tab == "Learn":
            page.get_by_label("What the map should do").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 375
    page.get_by_role("tab", name="Text").click()
    slider = visible(page, "range slider for λ")
    assert slider.bounding_box()["y"] < 812  # under the thumb without scrolling


def test_markup_is_shown_as_text(page):
    page.wait_for_function(WRITTEN)
    page.get_by_label("Prompt to continue").fill(MARKUP)
    page.get_by_role("button", name="Write", exact=True).click()
    page.locator(".passage .prompt").first.filter(has_text="<img src=x").wait_for()
    page.wait_for_function(WRITTEN)
    assert page.evaluate("window.hacked") is None


def _catch_it_writing(page):
    """A seed may end its text at once, before its caret is seen; then another one is drawn."""
    for _ in range(5):
        page.wait_for_function(WRITTEN)
        page.get_by_role("button", name="Another seed").and_(page.locator(":visible")).click()
        with suppress(playwright.TimeoutError):
            page.locator(".caret").first.wait_for(timeout=20 * SECONDS)
            return
    raise AssertionError("no text is ever being written")


def test_a_closed_tab_frees_the_model(page, studio):
    _catch_it_writing(page)
    page.close()
    entry = next(entry for entry in studio.maps() if entry.kind == "language")
    *_, rows = studio.texts.continue_text(entry, "Once", [0.0], sampling=Sampling(1))
    assert rows[0].text
