"""A page whose server is stopped and started again while it is open."""

import socket

from app.studio.studio import Studio
from tests.app.served import served
from tests.browser.pages import CHROMIUM, STRIP, playwright, visible, visitor

TYPED = "a prompt that was typed\nand not sent"


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
