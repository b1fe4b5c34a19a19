"""The slider in a hurry: no blank, no older result after a newer one, and the last one stays."""

import pytest

from app.studio.settings import STRIP as STRENGTHS
from app.studio.studio import Studio
from tests.app.served import tiny_assets
from tests.browser.dragging import SLOW, Film, drag
from tests.browser.pages import CHROMIUM, STRIP, served, visible, visited

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
LOADED = f"""() => {{
    const pictures = [...document.querySelectorAll('.strip img')];
    return pictures.length === {len(STRENGTHS)} && pictures.every(each => each.naturalWidth);
}}"""
LABELS = """() => {
    const seen = (window.labels_seen = []);
    const look = () => {
        const label = document.querySelectorAll('.passage .lam')[1]?.textContent;
        if (label && label !== seen.at(-1)) seen.push(label);
        requestAnimationFrame(look);
    };
    look();
}"""


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("dragged")
    with served(Studio(root / "data", assets=tiny_assets(root))) as url:
        yield url


@pytest.fixture
def page(address):
    with visited(address) as page:
        page.add_init_script(SLOW)
        page.reload()
        page.wait_for_function(STRIP)
        yield page


def _press(page, key, times=1):
    slider = visible(page, "range slider for λ")
    slider.focus()
    for _ in range(times):
        slider.press(key)


def _hold(page, text):
    page.evaluate("text => (window.slow.text = text)", text)


def _held(page):
    page.wait_for_function("!!window.slow.release")  # a function would be called


def test_forty_moves_show_no_blank_and_nothing_late_and_end_with_the_last(page):
    film = Film(page)
    film.wait_for(1)
    page.wait_for_function(LOADED)  # else fewer pictures follow; see the next test
    drag(page, -0.6)
    film.wait_for(float(visible(page, "range slider for λ").input_value()))
    frames = film.frames
    assert len({frame["hand"] for frame in frames}) > 10  # it was dragged
    assert len({frame["seen"] for frame in frames}) > 3  # and the picture followed
    assert all(frame["seen"] for frame in frames)
    assert film.late() == []
    assert abs(frames[-1]["hand"] + 0.6) < 0.06


def test_a_picture_of_the_strip_that_is_not_loaded_yet_leaves_no_blank(page):
    film, addresses, held = Film(page), set(), []
    film.wait_for(1)

    def load_only_the_pair(route):
        addresses.add(route.request.url)
        held.append(route) if len(addresses) > 2 else route.continue_()

    page.route("**/image.png", load_only_the_pair)
    page.get_by_role("button", name="Another seed").click()
    while len(held) < len(STRENGTHS) - 2:
        page.wait_for_timeout(50)
    _press(page, "ArrowLeft", 10)
    page.wait_for_function("window.frames_seen.at(-1).hand === 0.5")
    for route in held:
        route.continue_()
    page.unroute("**/image.png")
    film.wait_for(0.5)
    assert all(frame["seen"] for frame in film.frames)


def test_a_late_answer_does_not_take_the_place_of_a_newer_picture(page):
    film = Film(page)
    film.wait_for(1)
    _hold(page, "image.png")
    _press(page, "ArrowLeft")
    _held(page)  # the pictures at 0.95
    _press(page, "ArrowLeft", 8)
    film.wait_for(0.5)  # the nearest of the strip
    page.evaluate("window.slow.release()")
    film.wait_for(0.55)
    shown = [film.strength(frame["seen"]) for frame in film.frames]
    assert 0.95 not in shown[shown.index(0.5) :]
    assert film.late() == []


def test_a_strength_that_is_left_and_taken_again_shows_its_picture_again(page):
    film = Film(page)
    film.wait_for(1)
    _press(page, "ArrowLeft", 3)
    film.wait_for(0.85)
    _hold(page, "image.png")
    _press(page, "ArrowLeft")
    _press(page, "ArrowRight")
    film.wait_for(0.75)  # the nearest of the strip
    _held(page)
    page.evaluate("window.slow.release()")
    film.wait_for(0.85)


def test_an_older_text_does_not_take_the_place_of_a_newer_one(page):
    page.get_by_role("tab", name="Text").click()
    page.locator(".passage .lam", has_text="+1.00").wait_for()
    page.evaluate(LABELS)
    _hold(page, "λ = +0.95")
    _press(page, "ArrowLeft")
    _held(page)
    _press(page, "ArrowLeft", 8)
    page.evaluate("window.slow.release()")
    page.locator(".passage .lam", has_text="+0.55").wait_for()
    page.wait_for_function(
        """() => [...document.querySelectorAll('.passage footer b')].every(
            score => score.textContent !== '…')"""
    )
    labels = page.evaluate("window.labels_seen")
    assert labels[-1] == "λ = +0.55"
    assert labels == sorted(labels, reverse=True)
