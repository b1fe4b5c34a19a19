"""Requests as a browser sends them for other pages, against the middleware itself."""

import asyncio

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.security import PATIENCE, Guard, login


@pytest.fixture(scope="module")
def client():
    def answer(_):
        return PlainTextResponse("done")

    routes = [Route("/", answer, methods=["GET", "POST"])]
    app = Starlette(routes=routes, middleware=[Middleware(Guard)])
    return TestClient(app, base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "localhost", "[::1]:7860"])
def test_the_page_itself_and_programs_are_welcome(client, host):
    for headers in ({"host": host}, {"host": host, "origin": f"http://{host}"}):
        assert client.get("/", headers=headers).text == "done"
        assert client.post("/", headers=headers).text == "done"


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "127.0.0.1.evil.example:7860"},
        {"host": "[::1"},
        {"host": ""},
        {"origin": "https://evil.example"},
        {"origin": "http://127.0.0.1:8000"},  # another program of this machine
        {"origin": "null"},
        {"origin": "http://["},
    ],
)
def test_other_names_and_other_pages_are_refused(client, headers):
    answer = client.post("/", headers=headers)
    assert answer.status_code == 403
    assert answer.text.startswith("This page only accepts requests from this machine.")


def test_another_page_may_read_what_its_browser_will_not_show_it(client):
    assert client.get("/", headers={"origin": "https://evil.example"}).status_code == 200


def test_guesses_at_a_login_are_refused_after_five_until_a_minute_is_over(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("app.security.time.monotonic", lambda: now[0])
    check = login("me", "secret")

    def answer(password, name="me"):
        return asyncio.run(check(name, password))

    assert answer("secret")
    assert not any(answer("secret", name) for name in ("", "me:", "you"))
    assert not any(answer(guess) for guess in ("", "Sëcret"))
    assert not answer("secret")
    now[0] += PATIENCE
    assert answer("secret")
