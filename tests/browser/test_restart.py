"""A page whose server is stopped and started again while it is open."""

import socket

import pytest

from app.studio.studio import Studio
from app.widgets import sampling
from lineas_core import LearnConfig, learn, save_maps
from tests.app.served import served
from tests.browser.pages import CHROMIUM, STRIP, playwright, visible, visitor
from tests.fakes import save_model, tiny_chat_model

TYPED = "a prompt that was typed\nand not sent"


@pytest.fixture
def words(tmp_path):
    """A folder of assets: one map of a tiny model that converses."""
    model = tiny_chat_model()
    model.tokenizer.eos_token = model.network.generation_config.eos_token_id = None
    model.name = save_model(model, tmp_path / "model")
    sides = (["a b", "b c"], ["y z", "x y"])
    maps = learn(model, *sides, config=LearnConfig(iterations=1, learning_rate=0.5))
    save_maps(maps, tmp_path / "assets" / "maps" / "words")
    return tmp_path / "assets"


def test_a_page_survives_a_restart_of_its_server_with_what_was_typed(letters, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = visitor(browser)
        with served(Studio(tmp_path, assets=letters), server_port=port) as (_, address):
            page.goto(address)
            page.wait_for_function(STRIP)
            page.get_by_role("tab", name="Learn").click()
            visible(page, "Source: steer away from these").first.fill(TYPED)
            page.get_by_role("tab", name="Images").click()
        lost = page.get_by_text("Connection to the server was lost")
        lost.wait_for()
        with served(Studio(tmp_path, assets=letters), server_port=port):
            lost.wait_for(state="detached")  # Gradio reloads the page
            page.wait_for_function(STRIP)
            strength = page.get_by_label("number input for λ", exact=False)
            strength.and_(page.locator(":visible")).first.fill("0.5")
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url: "strength=0.5" in url)
            page.get_by_role("tab", name="Learn").click()
            box = visible(page, "Source: steer away from these").first
            box.wait_for()
            page.wait_for_function("box => box.value", arg=box.element_handle())
            assert box.input_value() == TYPED
        browser.close()


def _box_in(page, tab):
    """The box of prompts in this tab below the texts."""
    page.get_by_role("tab", name=tab).and_(page.locator(":visible")).click()
    box = page.get_by_role("textbox", name="Prompts").and_(page.locator(":visible"))
    box.wait_for()
    return box


def test_a_chat_and_boxes_of_the_same_label_come_back_after_a_restart(
    words, tmp_path, monkeypatch
):
    monkeypatch.setattr(sampling, "LENGTH", 8)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = visitor(browser)
        with served(Studio(tmp_path / "data", assets=words), server_port=port) as (_, address):
            page.goto(address)
            page.get_by_role("tab", name="Text", exact=True).click()
            page.set_default_timeout(60_000)
            page.wait_for_function("document.body.dataset.opened")
            for tab in ("Rates over many", "Batch"):
                _box_in(page, tab).fill(f"{TYPED} in {tab}")
            page.get_by_role("tab", name="Chat", exact=True).click()
            page.get_by_text("λ: towards the source").and_(page.locator(":visible")).wait_for()
            message = page.get_by_placeholder("Write a message")
            message.fill("hello there")
            message.press("Enter")
            page.get_by_role("button", name="Edit last message").wait_for()
            answers = page.locator(".reply .text").all_inner_texts()
        page.get_by_role("tab", name="Text", exact=True).click()  # its event finds no server
        lost = page.get_by_text("Connection to the server was lost")
        lost.wait_for()
        with served(Studio(tmp_path / "data", assets=words), server_port=port):
            lost.wait_for(state="detached")  # Gradio reloads the page
            page.get_by_role("tab", name="Text", exact=True).click()
            for tab in ("Batch", "Rates over many"):
                box, mine = _box_in(page, tab), f"{TYPED} in {tab}"
                page.wait_for_function(
                    "([box, mine]) => box.value === mine", arg=[box.element_handle(), mine]
                )
            page.get_by_role("tab", name="Chat", exact=True).click()
            page.get_by_role("button", name="Edit last message").wait_for()
            assert page.locator(".asked").all_inner_texts() == ["hello there"]
            assert page.locator(".reply .text").all_inner_texts() == answers
            page.get_by_role("button", name="Edit last message").click()
            page.locator(".turn.empty").wait_for()  # the turns are there, too
        browser.close()
