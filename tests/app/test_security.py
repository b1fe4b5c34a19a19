"""Attacks over HTTP on a real Gradio server behind the guard."""

import gradio as gr
import httpx
import pytest

from app.security import Limits, guarded, origin_of

PROXY, LINK = "https://lineas.example", "https://1234.gradio.live"
LOGIN = {"username": "me", "password": "secret"}
WRITES = ("/login", "/gradio_api/upload", "/gradio_api/queue/join", "/gradio_api/call/echo")


@pytest.fixture(scope="module")
def origins():
    return {PROXY}


@pytest.fixture(scope="module")
def page(origins):
    """The address of a page with a login, open as studio.lan and behind a proxy."""
    with gr.Blocks(analytics_enabled=False) as demo:
        gr.api(_echo, api_name="echo")
    names = ("127.0.0.1", "::1", "localhost", "studio.lan")
    guard = guarded(names, origins, Limits(body=20_000, upload=50_000))
    app = {"lifespan": guard}
    demo.queue().launch(
        prevent_thread_lock=True, quiet=True, app_kwargs=app, auth=("me", "secret")
    )
    yield demo.local_url.rstrip("/")
    demo.close()


def _echo(text: str) -> str:
    return text


def _log_in(page, password="secret", visitor="127.0.0.1"):
    transport = httpx.HTTPTransport(local_address=visitor)
    with httpx.Client(transport=transport, timeout=None) as client:
        return client.post(f"{page}/login", data={"username": "me", "password": password})


def _post_login(page, headers):
    return httpx.post(f"{page}/login", headers=headers, data=LOGIN, timeout=None)


def _allows(answer):
    return [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "http://{host}"},
        {"host": "localhost:7860", "origin": "http://localhost:7860"},
        {"host": "studio.lan:7860", "origin": "http://studio.lan:7860"},
        {"host": "192.168.1.5:7860", "origin": "http://192.168.1.5:7860"},
        {"host": "[2001:db8::1]:7860", "origin": "http://[2001:db8::1]:7860"},
        {"host": "lineas.example", "origin": PROXY},
        {"origin": PROXY},  # the proxy names the host that it connects to
    ],
)
def test_the_page_itself_and_programs_are_welcome(page, headers):
    host = page.removeprefix("http://")
    headers = {name: value.format(host=host) for name, value in headers.items()}
    assert httpx.get(page, headers=headers, timeout=None).status_code == 200
    assert _post_login(page, headers).json() == {"success": True}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://["},
        {"origin": ""},
        {"origin": "http://127.0.0.1:1"},  # another program of this machine
        {"origin": "https://lineas.example.evil.example"},
        {"host": "studio.lan", "origin": "http://studio.lan.evil.example"},
        {"host": "evil.example"},
        {"host": "evil.example", "origin": "http://evil.example"},  # made to resolve to the page
        {"host": "127.0.0.1.evil.example:7860"},
        {"host": "[::1"},
        {"host": ""},
    ],
)
def test_other_pages_cannot_write_with_the_login_of_a_visitor(page, method, headers):
    cookies = _log_in(page).cookies
    asked = {"access-control-request-method": "POST"} if method == "OPTIONS" else {}
    options = {"headers": {**headers, **asked}, "timeout": None}
    with httpx.Client(base_url=page, cookies=cookies, **options) as client:
        for path in WRITES:
            answer = client.request(method, path)
            assert (answer.status_code, _allows(answer)) == (403, [])
            assert "--origin" in answer.text


@pytest.mark.parametrize("origin", ["https://evil.example", "null", PROXY])
def test_no_other_page_may_read_an_answer_or_show_the_page_in_a_frame(page, origin):
    for path in ("/", "/config", "/gradio_api/info", "/missing"):
        answer = httpx.get(page + path, headers={"origin": origin}, timeout=None)
        assert _allows(answer) == []
        assert answer.headers["content-security-policy"] == "frame-ancestors 'self'"


def test_a_link_that_is_opened_later_becomes_an_origin(page, origins):
    headers = {"host": "1234.gradio.live", "origin": LINK}
    assert _post_login(page, headers).status_code == 403
    origins.add(LINK)
    assert _post_login(page, headers).status_code == 200


def test_other_sites_cannot_send_the_cookies_along(page):
    cookies = _log_in(page).headers.get_list("set-cookie")
    assert cookies
    for cookie in cookies:
        sites = [part for part in cookie.lower().split("; ") if part.startswith("samesite")]
        assert sites == ["samesite=lax"]
        assert "httponly" in cookie.lower()


def test_guesses_from_one_address_stop_there_and_lock_nobody_else_out(page, monkeypatch):
    guesses = [_log_in(page, f"guess {k}", "127.0.0.2").status_code for k in range(50)]
    assert set(guesses) == {400}
    right = _log_in(page, visitor="127.0.0.2")
    assert (right.status_code, right.cookies) == (400, httpx.Cookies())
    assert "Wait" in right.json()["detail"]
    assert _log_in(page, visitor="127.0.0.1").status_code == 200
    monkeypatch.setattr("app.security.PATIENCE", 0.0)  # as if a minute were over
    assert _log_in(page, visitor="127.0.0.2").status_code == 200


def test_right_logins_are_never_refused(page):
    assert {_log_in(page).status_code for _ in range(20)} == {200}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("path", "most"), [("/gradio_api/call/echo", 20_000), ("/gradio_api/upload", 50_000)]
)
def test_a_body_that_is_too_large_is_cut_off(page, path, most, chunked, capfd):
    cookies = _log_in(page).cookies
    kind = "application/json" if "call" in path else "multipart/form-data; boundary=b"
    sent = []

    def body():
        start = '{"data": ["' if "call" in path else _PART
        for piece in [start.encode(), *[b"x" * 10_000] * 1_000]:
            sent.append(len(piece))
            yield piece

    content = body() if chunked else b"x" * (most + 1)
    try:
        with httpx.Client(cookies=cookies, timeout=None) as client:
            answer = client.post(page + path, content=content, headers={"content-type": kind})
        assert (answer.status_code, f"{most:,} bytes" in answer.text) == (413, True)
    except httpx.WriteError:  # the connection is closed before all is sent
        pass
    assert sum(sent) < 5_000_000
    assert capfd.readouterr().err == ""


_PART = '--b\r\nContent-Disposition: form-data; name="files"; filename="f.txt"\r\n\r\n'


def test_a_body_within_its_limit_is_accepted(page):
    with httpx.Client(base_url=page, cookies=_log_in(page).cookies, timeout=None) as client:
        asked = client.post("/gradio_api/call/echo", json={"data": ["x" * 19_000]})
        answer = client.get(f"/gradio_api/call/echo/{asked.json()['event_id']}")
        assert f'["{"x" * 19_000}"]' in answer.text
        upload = client.post("/gradio_api/upload", files={"files": ("a.txt", b"x" * 45_000)})
        assert upload.status_code == 200


def test_control_characters_in_an_address_do_not_reach_the_log(page, capfd):
    path = "/gradio_api/custom_component/%0d%0aFAKE/client/%1b%5b2J/%c2%9b.js"
    assert httpx.get(page + path, timeout=None).status_code == 403
    assert "FAKE" not in "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("address", "origin"),
    [
        ("https://lineas.example", "https://lineas.example"),
        ("https://Lineas.Example:8443/studio/", "https://lineas.example:8443"),
        ("http://[::1]:80", "http://[::1]:80"),
        ("lineas.example", None),
        ("ftp://lineas.example", None),
        ("https://me@lineas.example", None),
        ("https://lineas.example:x", None),
        ("https://", None),
        ("null", None),
        ("*", None),
    ],
)
def test_an_origin_is_scheme_host_and_port(address, origin):
    assert origin_of(address) == origin
