"""A chat in a real browser, with a tiny model whose answers end at their length only."""

import json
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from app.studio.chats import Chats
from app.studio.studio import Studio
from app.widgets import sampling
from lineas_core import LearnConfig, learn, save_maps
from tests.browser.pages import CHROMIUM, MARKUP, SECONDS, served, visible, visited
from tests.fakes import save_model, tiny_chat_model

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is missing")
LENGTH, LONG, HELD = 12, 40, 10  # tokens; the long answer is stopped after ten
FREED = threading.Event()
BUSY = "Keep the model busy"


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    root = tmp_path_factory.mktemp("chat")
    model = tiny_chat_model()
    model.tokenizer.eos_token = model.network.generation_config.eos_token_id = None
    model.name = save_model(model, root / "model")
    sides = (["a b", "b c"], ["y z", "x y"])
    maps = learn(model, *sides, config=LearnConfig(iterations=1, learning_rate=0.5))
    save_maps(maps, root / "assets" / "maps" / "words")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sampling, "LENGTH", LENGTH)
        patch.setattr(Chats, "answer", _held_until_stopped(Chats.answer))
        patch.setattr(Chats, "answer", _held_until_freed(Chats.answer))
        with served(Studio(root / "data", assets=root / "assets")) as url:
            yield url


def _held_until_stopped(answer):
    """Hold the first long answer amid its tokens: a busy machine may show them all at once."""
    started = []

    def held(self, entry, turns, turn, stopped):
        # Noted at the start: Stop may come before the place where the answer would be held.
        if stops_here := turn.sampling.max_new_tokens == LONG and not started:
            started.append(turn)
        for place, so_far in enumerate(answer(self, entry, turns, turn, stopped)):
            yield so_far
            if stops_here and place == HELD:
                while not stopped():
                    time.sleep(0.01)

    return held


def _held_until_freed(answer):
    """Hold the model, so that everybody else waits for a turn."""

    def held(self, entry, turns, turn, stopped):
        if turn.message == BUSY:
            FREED.wait()
        yield from answer(self, entry, turns, turn, stopped)

    return held


@contextmanager
def _busy(page, address):
    """The model is busy with the message of another page meanwhile."""
    FREED.clear()
    other = page.context.new_page()
    try:
        other.goto(address)
        _open(other)
        _box(other).fill(BUSY)
        _box(other).press("Enter")
        other.locator(".reply .caret").first.wait_for()
        yield
    finally:
        FREED.set()
    _finished(other, 1)


@pytest.fixture
def page(address):
    with visited(address) as page:
        _open(page)
        yield page


def _open(page):
    """Open the tab and wait for its map."""
    page.get_by_role("tab", name="Chat").click()
    page.get_by_text("λ: towards the source").and_(page.locator(":visible")).wait_for()


def _finished(page, turns):
    """Wait until the last of so many turns has its scores, and the next message can be sent."""
    page.wait_for_function(
        """turns => {
            const all = document.querySelectorAll('.turn[data-turn]');
            const last = all[all.length - 1];
            return all.length === turns && last.querySelectorAll('.reply footer').length ===
                last.querySelectorAll('.reply').length;
        }""",
        arg=turns,
    )
    page.get_by_role("button", name="Regenerate").wait_for()


def _box(page):
    return page.get_by_placeholder("Write a message")


def _submit(page, message):
    _box(page).fill(message)
    _box(page).press("Enter")


def _send(page, message, turns):
    _submit(page, message)
    _finished(page, turns)


def _strength(page, strength):
    box = visible(page, "number input for λ")
    box.fill(str(strength))
    box.press("Enter")


def _exported(page, button):
    with page.expect_download() as download:
        page.get_by_role("button", name=button).click()
    return Path(download.value.path()).read_text("utf-8")


def test_two_turns_with_a_moved_strength_are_edited_regenerated_and_exported(page):
    _send(page, MARKUP, 1)
    _strength(page, -0.5)
    page.get_by_label("Third column").check()
    page.wait_for_function(
        "box => box.value", arg=page.get_by_label("Instruction").element_handle()
    )
    _send(page, "and you?", 2)
    labels = page.locator(".reply.steered .lam").all_inner_texts()
    assert [label.split("= ")[1] for label in labels] == ["+1.00", "−0.50"]
    assert page.locator(".turn").first.locator(".reply").count() == 2
    assert page.locator(".turn").last.locator(".reply").count() == 3
    assert page.evaluate("window.hacked") is None
    assert page.locator(".asked").first.inner_text() == MARKUP

    page.get_by_role("button", name="Edit last message").click()
    page.wait_for_function(
        "box => box.value === 'and you?' && document.querySelectorAll('.turn').length === 1",
        arg=_box(page).element_handle(),
    )
    _send(page, "and who?", 2)
    before = page.locator(".turn").last.locator(".reply.steered .text").first.inner_text()
    _strength(page, 0.75)
    page.get_by_role("button", name="Regenerate").click()
    page.locator(".turn").last.locator(".lam", has_text="+0.75").wait_for()
    _finished(page, 2)
    assert page.locator(".turn").last.locator(".reply.steered .text").first.inner_text() != before

    chat = json.loads(_exported(page, "Export JSON"))
    assert [turn["message"] for turn in chat["turns"]] == [MARKUP, "and who?"]
    assert [t["answers"]["steered"]["strength"] for t in chat["turns"]] == [1, 0.75]
    assert "> and who?" in _exported(page, "Export Markdown")

    page.get_by_role("button", name="New chat").click()
    page.locator(".turn.empty").wait_for()
    assert page.locator(".turn").count() == 1


def test_a_stop_keeps_the_beginning_of_the_answer(page):
    visible(page, "Length in tokens").fill(str(LONG))
    _box(page).fill("hello")
    page.get_by_role("button", name="Send").click()
    page.locator(".reply .caret").first.wait_for()
    assert page.locator(".reply footer").count() == 0  # no scores of half an answer
    page.locator(".stop-button:visible").click()
    _finished(page, 1)
    texts = page.locator(".reply .text")
    stopped = texts.first.inner_text().rstrip("\ufffd")
    page.get_by_role("button", name="Regenerate").click()
    page.wait_for_function(
        "stopped => document.querySelector('.reply .text').innerText.length > stopped + 1",
        arg=len(stopped),
    )
    _finished(page, 1)
    assert texts.first.inner_text().startswith(stopped)


def _asked(page):
    return page.locator(".asked").all_inner_texts()


def test_a_message_that_waits_for_its_turn_is_not_answered_in_a_new_chat(page, address):
    page.set_default_timeout(60 * SECONDS)
    _send(page, "hello", 1)
    with _busy(page, address):
        _submit(page, "and you?")
        page.get_by_role("button", name="New chat").click()
        page.locator(".turn.empty").wait_for()
    assert _box(page).input_value() == "and you?"
    _send(page, "and who?", 1)
    assert _asked(page) == ["and who?"]


def test_a_message_that_waits_gives_way_and_leaves_what_is_typed(page, address):
    page.set_default_timeout(60 * SECONDS)
    _send(page, "hello", 1)
    with _busy(page, address):
        _submit(page, "and you?")
        page.get_by_role("button", name="Regenerate").click()
    _finished(page, 1)
    assert _asked(page) == ["hello"]
    assert _box(page).input_value() == "and you?"
    with _busy(page, address):
        _box(page).press("Enter")
        page.wait_for_timeout(500)
        _box(page).fill("and who?")
    _finished(page, 2)
    assert _asked(page) == ["hello", "and you?"]
    assert _box(page).input_value() == "and who?"


def test_a_narrow_page_scrolls_in_one_direction_only(page, address):
    page.set_viewport_size({"width": 375, "height": 812})
    page.goto(address)
    _open(page)
    _send(page, "hello", 1)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    slider = visible(page, "range slider for λ").bounding_box()
    assert 0 < slider["y"] < 812  # in view
