"""The flow of pictures in a real browser: a tiny model always, the embedded one where it is."""

import base64
import json
import os
import re
import shutil
import subprocess
from contextlib import contextmanager, suppress
from io import BytesIO
from threading import Event
from urllib.parse import quote

import numpy as np
import pytest
from PIL import Image, UnidentifiedImageError

from app.studio.pictures import Pictures
from app.studio.studio import Studio
from lineas_core.methods import METHODS
from lineas_core.models import installed
from tests.browser.pages import CHROMIUM, MARKUP, STRIP, served, visible, visited, visitor

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
EMBEDDED = "emoji-world"
SCENE = "A small church in a meadow, seen in the morning"  # an example, without a concept
FURTHER = """at => {
    const [, iteration] = document.querySelector('.job').innerText.match(/iteration (\\d+)/);
    return Number(iteration) > at;
}"""
WATCH_FOR_A_RELAPSE = """() => new MutationObserver(() => {
    window.relapsed ||= Boolean(document.querySelector('.job.running'));
}).observe(document.body, {childList: true, subtree: true, attributes: true})"""
# As somebody drops a file onto the pictures.
DROP = """content => {
    const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt());
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], 'saved.png', {type: 'image/png'}));
    const options = {dataTransfer, bubbles: true, cancelable: true};
    document.querySelector('.pictures').dispatchEvent(new DragEvent('drop', options));
}"""


@pytest.fixture(scope="module")
def tiny(letters, tmp_path_factory):
    """The page over a tiny model with random weights and one map."""
    with served(Studio(tmp_path_factory.mktemp("tiny"), assets=letters)) as url:
        yield url


@pytest.fixture
def page(tiny):
    with visited(tiny) as page:
        page.wait_for_function(STRIP)  # nothing was clicked
        yield page


def _picture(page, other_than=None):
    """Address of the steered picture; waits for another one than the given."""
    page.wait_for_function(
        "other => ![undefined, other].includes(document.querySelector('#steered img')?.src)",
        arg=other_than,
    )
    return page.locator("#steered img").get_attribute("src")


def _panel(page, name):
    """Open a panel below the pictures."""
    page.get_by_role("tab", name=name).click()


def test_arrow_keys_on_the_slider_change_the_picture(page):
    full, slider = _picture(page), visible(page, "range slider for λ")
    slider.focus()
    slider.press("ArrowLeft")
    less = _picture(page, other_than=full)
    slider.press("ArrowRight")
    assert _picture(page, other_than=less) == full


def test_a_grid_is_painted_and_saved_as_a_picture(page):
    _panel(page, "Grid")
    across = page.get_by_label("Values of the columns")
    page.wait_for_function("e => e.value.includes('0.5')", arg=across.element_handle())
    across.fill("-1, 0, 1")
    page.get_by_label("Values of the rows").fill("3-4")
    page.get_by_role("button", name="Paint the grid").click()
    page.wait_for_function("() => document.querySelectorAll('#grid img').length === 6")
    heads = page.locator("#grid thead th").all_inner_texts()
    assert heads == ["", "λ -1", "λ 0", "λ +1"]
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a picture").click()
    saved = Image.open(download.value.path()).convert("RGB")
    assert download.value.suggested_filename == "grid.png"
    assert saved.width > 3 * 256
    assert saved.height > 2 * 256
    rows = np.asarray(saved.resize((6, 4)), dtype=int)
    assert len({tuple(pixel) for line in rows for pixel in line}) > 4  # pictures, not one colour


def test_the_toolbar_draws_a_seed_keeps_a_locked_one_and_saves_under_a_speaking_name(page):
    before, seed = _picture(page), page.locator(".easel .seed input[type=number]")
    page.get_by_role("button", name="Another seed").and_(page.locator(":visible")).click()
    after = _picture(page, other_than=before)
    drawn = seed.input_value()
    page.get_by_label("What to paint").press("Enter")
    page.wait_for_function("seed => location.search.includes(`seed=${seed}`)", arg=drawn)
    assert seed.input_value() == drawn  # locked
    with page.expect_download() as download:
        page.get_by_role("button", name="Save", exact=True).click()
    assert download.value.suggested_filename == f"letters+1_seed{drawn}.png"
    saved = Image.open(download.value.path())
    assert json.loads(saved.text["lineas"])["seed"] == int(drawn)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save strip").click()
    assert download.value.suggested_filename == f"letters_strip_seed{drawn}.png"
    assert Image.open(download.value.path()).width > 9 * saved.width
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link").and_(page.locator(":visible")).click()
    page.get_by_role("button", name="Link copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url

    visible(page, "Lock").uncheck()
    page.get_by_label("What to paint").press("Enter")
    _picture(page, other_than=after)
    assert seed.input_value() != drawn


def test_a_result_that_comes_late_leaves_the_address_of_another_tab(page, monkeypatch):
    wanted, paint = Event(), Pictures.paint
    page.wait_for_url("**strength=1&**")
    # Until the other tab is open.
    monkeypatch.setattr(Pictures, "paint", lambda *a, **k: wanted.wait(300) and paint(*a, **k))
    visible(page, "range slider for λ").press("Home")
    page.get_by_role("tab", name="Library").click()
    page.wait_for_url("**#library")
    wanted.set()
    page.locator(".tiles [data-query*='strength=-1&']").wait_for(state="attached")
    assert "strength=1&" in page.url
    page.get_by_role("tab", name="Images").click()
    page.wait_for_url("**strength=-1&**")


def test_a_click_on_the_strip_moves_the_slider(page):
    before = _picture(page)
    page.locator(".strip button").nth(4).click()  # the original
    page.wait_for_function("document.querySelector('.strip').dataset.at === '5'")
    assert visible(page, "number input for λ").input_value() == "0"
    steered = _picture(page, other_than=before)
    assert steered == page.locator("#original img").get_attribute("src")


def test_the_figures_are_those_of_the_picture_that_is_shown(page):
    changed = "text => document.querySelector('.scores p')?.innerText.includes(text)"
    page.wait_for_function(changed, arg="changed by")
    page.locator(".strip button").nth(4).click()  # the original
    page.wait_for_function(changed, arg="changed by 0%")


def _looks_like(page, part):
    """Which picture is seen on the stage in a part of its columns, "original" or "steered"?

    Rows with labels, buttons and the handle of the divider are left out.
    """

    def pixels(content):
        with Image.open(BytesIO(content)) as image:
            small = image.convert("RGB").resize((64, 64), Image.Resampling.BOX)
        return np.asarray(small, dtype=float)[8:24, part]

    seen = pixels(page.locator(".pictures").screenshot())
    far = {}
    for name in ("original", "steered"):
        source = page.locator(f"#{name} img").get_attribute("src")
        far[name] = np.abs(pixels(page.request.get(source).body()) - seen).mean()
    nearer, other = sorted(far, key=far.get)
    assert far[nearer] < far[other] / 2, far
    return nearer


def test_the_divider_parts_original_and_steered_by_mouse_and_by_keyboard(page):
    _picture(page)
    page.get_by_role("radio", name="wipe").check()
    divider = page.get_by_label("Divider")
    box = divider.bounding_box()
    middle, height = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    everywhere, narrow = slice(2, 62), slice(20, 30)
    assert _looks_like(page, narrow) == "original"
    page.mouse.move(middle, height)
    page.mouse.down()
    page.mouse.move(middle - box["width"] / 4, height, steps=5)
    page.mouse.up()
    assert 20 < int(divider.input_value()) < 30
    assert _looks_like(page, slice(2, 12)) == "original"
    assert _looks_like(page, narrow) == _looks_like(page, slice(20, 62)) == "steered"
    divider.press("End")
    assert _looks_like(page, everywhere) == "original"
    divider.press("Home")
    assert _looks_like(page, everywhere) == "steered"


def test_a_press_flips_to_the_original_and_back_and_holding_shows_it_for_a_while(page):
    _picture(page)
    page.get_by_role("radio", name="flip").check()
    everywhere, button = slice(2, 62), page.get_by_role("button", name="Press or hold")
    assert _looks_like(page, everywhere) == "steered"
    for press in (button.click, lambda: button.press("Enter")):
        press()
        assert _looks_like(page, everywhere) == "original"
        press()
        assert _looks_like(page, everywhere) == "steered"
    button.hover()
    page.mouse.down()
    assert _looks_like(page, everywhere) == "original"
    page.wait_for_timeout(400)  # longer than a press
    page.mouse.up()
    assert _looks_like(page, everywhere) == "steered"
    page.get_by_role("radio", name="side by side").check()
    assert not button.is_visible()


def _asks_for(page, strength, seed):
    """Wait until page and address are at these settings, then the pictures are painted."""
    page.wait_for_function(
        """([strength, seed]) => {
            const asked = new URLSearchParams(location.search);
            return asked.get('strength') === strength && asked.get('seed') === seed;
        }""",
        arg=[strength, seed],
    )
    page.wait_for_function(STRIP)
    assert visible(page, "number input for λ").input_value() == strength


def _saved_at(page, strength):
    """The content of the steered picture, once that of this strength is shown."""
    for _ in range(600):
        content = page.request.get(_picture(page)).body()
        # Where another picture has come meanwhile, its file may be gone.
        with suppress(UnidentifiedImageError), Image.open(BytesIO(content)) as image:
            ((_, shown),) = json.loads(image.text["lineas"])["maps"]
            if shown == strength:
                return content
        page.wait_for_timeout(100)
    raise AssertionError(f"no picture at {strength}")


def _pixels(content):
    with Image.open(BytesIO(content)) as image:
        return image.convert("RGB").tobytes()


def test_a_link_a_reload_a_saved_picture_and_a_copy_lead_to_the_same_picture(page, tiny, tmp_path):
    page.goto(f"{tiny}?map=letters&strength=0.35&seed=7&prompt={quote(SCENE)}")
    _asks_for(page, "0.35", "7")
    slider = visible(page, "range slider for λ")
    slider.focus()
    slider.press("ArrowLeft")
    _asks_for(page, "0.3", "7")
    saved = _saved_at(page, 0.3)
    page.reload()
    _asks_for(page, "0.3", "7")
    assert page.get_by_label("What to paint").input_value() == SCENE
    assert _pixels(_saved_at(page, 0.3)) == _pixels(saved)

    page.goto(tiny)
    _asks_for(page, "1", "1")
    page.evaluate(DROP, base64.b64encode(saved).decode())
    _asks_for(page, "0.3", "7")
    assert page.get_by_label("What to paint").input_value() == SCENE

    _panel(page, "Earlier results")
    page.locator(".tiles button").nth(1).click()
    _asks_for(page, "1", "1")
    page.locator(".tiles button", has_text="seed 7").click()
    _asks_for(page, "0.3", "7")

    if shutil.which("curl"):
        _panel(page, "Code")
        copied = page.locator(".copy pre").last.inner_text()
        alone = {"PATH": os.environ["PATH"]}  # no proxy between this machine and itself
        subprocess.run(["bash", "-c", copied], cwd=tmp_path, env=alone, timeout=60, check=True)
        assert _pixels((tmp_path / "picture.png").read_bytes()) == _pixels(saved)


def test_markup_in_a_prompt_is_painted_and_not_run(page):
    # Nothing was painted for this prompt: the picture that comes next is another one.
    before = _picture(page)
    page.get_by_label("What to paint").fill(MARKUP)
    page.get_by_role("button", name="Paint", exact=True).click()
    _picture(page, other_than=before)
    page.wait_for_function(STRIP)
    assert page.evaluate("window.hacked") is None


def test_an_empty_prompt_is_one_sentence_and_the_pictures_stay(page):
    before = _picture(page)
    page.get_by_label("What to paint").fill(" ")
    page.get_by_role("button", name="Paint", exact=True).click()
    page.get_by_text("the prompt is empty").wait_for()
    assert _picture(page) == before


def test_on_a_phone_the_pictures_and_the_slider_come_first(page, tiny):
    page.set_viewport_size({"width": 375, "height": 812})
    page.goto(tiny)
    page.wait_for_function(STRIP)
    page.wait_for_function("document.querySelector('.pictures').dataset.view === 'wipe'")
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    slider = visible(page, "range slider for λ").bounding_box()
    picture = page.locator("#steered img").bounding_box()
    assert picture["width"] > 300
    assert picture["y"] < 300
    assert picture["y"] + picture["height"] <= slider["y"] < 812
    assert slider["y"] < page.get_by_label("What to paint").bounding_box()["y"]


@pytest.mark.slow
def test_all_methods_learn_in_the_page_and_are_painted_side_by_side(letters, tmp_path):
    of_pictures = {m.label for m in METHODS.values() if "text-to-image" in m.kinds}
    with served(Studio(tmp_path, assets=letters)) as url, visited(url) as page:
        page.wait_for_function(STRIP)
        _panel(page, "Compare methods")
        page.get_by_role("button", name="Learn the others").click()
        page.get_by_text("Learning: ").wait_for()
        # They are painted by themselves once all have learnt.
        page.wait_for_function(
            """count => [...document.querySelectorAll('.all')].some(
                all => all.querySelectorAll('img').length >= count)""",
            arg=len(of_pictures) + 1,
        )
        captions = page.locator(".all .caption-label:visible").all_inner_texts()
        assert captions[0].startswith("original")
        assert {text.split("\n")[0] for text in captions[1:]} == of_pictures
        strength = visible(page, "number input for λ")
        page.locator(".all img:visible").first.click()  # the original
        page.wait_for_function("input => input.value === '0'", arg=strength.element_handle())


def test_two_visitors_at_different_strengths_do_not_meet(page, tiny, letters, tmp_path):
    other = visitor(page.context.browser)
    for somebody, strength in ((page, 0.35), (other, -0.6), (page, 0.4)):
        _goes_to(somebody, tiny, strength)
    _asks_for(other, "-0.6", "3")
    _asks_for(page, "0.4", "3")
    found = {-0.6: _saved_at(other, -0.6), 0.4: _saved_at(page, 0.4)}
    other.close()
    for strength, picture in found.items():
        # On a page that paints this strip alone, and has painted nothing else of this prompt.
        studio = Studio(tmp_path / str(strength), assets=letters)
        with served(studio) as url:
            alone = visitor(page.context.browser)
            _goes_to(alone, url, strength)
            _asks_for(alone, str(strength), "3")
            assert _differ(picture, _saved_at(alone, strength)) <= 1
            alone.close()
    assert _differ(*found.values()) > 1


def _goes_to(page, url, strength):
    page.goto(f"{url}?map=letters&strength={strength}&seed=3&prompt={quote(SCENE)}")


def _differ(one, other):
    """By how many of the 255 steps of a colour two pictures differ at most."""
    pixels = [np.frombuffer(_pixels(content), np.uint8).astype(int) for content in (one, other)]
    return np.abs(pixels[0] - pixels[1]).max()


@pytest.mark.slow
@pytest.mark.skipif(not installed(EMBEDDED), reason=f"{EMBEDDED} has no weights yet")
def test_a_job_is_stopped_and_resumed_and_a_second_tab_sees_it(tmp_path):
    studio = Studio(tmp_path)
    with served(studio) as url, visited(url) as page:
        page.get_by_role("tab", name="Learn").click()
        page.get_by_label("Name", exact=True).fill("Mine")
        for side, few in (("Source", "A robot\nA small robot"), ("Target", "A meadow\nA lake")):
            page.get_by_label(f"{side}: steer").fill(few)
        page.locator("button.label-wrap:visible", has_text="Settings").click()
        page.get_by_label("Iterations", exact=True).fill("100000")  # it ends by being stopped
        page.get_by_role("button", name="Start", exact=True).click()
        page.locator(".job", has_text=re.compile(r"iteration [1-9]")).wait_for()

        page.get_by_role("button", name="Try it").click()  # while it is being learnt
        page.get_by_text("This map is still being learnt").wait_for()
        page.wait_for_function(STRIP)
        page.get_by_role("tab", name="Learn").click()

        second = visitor(page.context.browser)
        second.goto(url)
        second.get_by_role("tab", name="Learn").click()
        second.locator(".job.running", has_text="Mine").wait_for()
        second.get_by_role("button", name="Stop and keep the best").click()
        page.locator(".job.stopped").wait_for()
        stopped_at = _iteration(page)

        page.get_by_role("button", name="Resume").click()
        page.locator(".job.running").wait_for()
        page.wait_for_function(FURTHER, arg=stopped_at)
        with _late_answer(page, "job running"):  # meanwhile the timer does not look again
            (job,) = studio.jobs.list()
            studio.jobs.stop(job.id)
            while studio.jobs.get(job.id).state != "stopped":
                page.wait_for_timeout(100)
            page.get_by_role("button", name="Stop and keep the best").click()
            page.locator(".job.stopped").wait_for()
            page.evaluate(WATCH_FOR_A_RELAPSE)
        page.wait_for_function("window.relapsed")  # the late answer has come
        page.locator(".job.stopped").wait_for()
        assert page.get_by_role("button", name="Try it").is_visible()  # the best is kept
        second.close()


@contextmanager
def _late_answer(page, text):
    """Let the next answer to the timer that has this text arrive at the end only."""
    late = []

    def hold(route):
        response = route.fetch()
        if not late and text in response.text():
            late.append((route, response))
        else:
            route.fulfill(response=response)

    page.route("**/run/predict*", hold)
    while not late:
        page.wait_for_timeout(100)
    yield
    route, response = late[0]
    route.fulfill(response=response)
    page.unroute("**/run/predict*", hold)


def _iteration(page):
    return int(re.search(r"iteration (\d+)", page.locator(".job").inner_text())[1])


@pytest.mark.skipif(not installed(EMBEDDED), reason=f"{EMBEDDED} has no weights yet")
def test_a_concept_is_learnt_from_an_upload_and_bends_a_picture(tmp_path):
    file = tmp_path / "robots.csv"
    file.write_text("source,target\nA robot,A meadow\nA small robot,A lake\n")
    with served(Studio(tmp_path)) as url, visited(url) as page:
        page.get_by_role("tab", name="Learn").click()
        page.locator("[role=tabpanel]:visible input[type=file]").first.set_input_files(file)
        page.get_by_text("prompts (32 recommended)").first.wait_for()
        page.locator("button.label-wrap:visible", has_text="Settings").click()
        page.get_by_label("Iterations", exact=True).fill("2")
        page.get_by_role("button", name="Start", exact=True).click()
        page.locator(".job").wait_for()
        job = page.locator(".job").bounding_box()
        assert 0 <= job["y"] < page.viewport_size["height"]  # beside the button, not above it
        page.locator(".job.done").wait_for()
        assert page.locator(".painted").count() == 3  # at the beginning, half way, at the end
        page.get_by_role("button", name="Try it").click()
        page.wait_for_function(STRIP)
        full, slider = _picture(page), visible(page, "range slider for λ")
        slider.focus()
        slider.press("Home")
        _picture(page, other_than=full)
