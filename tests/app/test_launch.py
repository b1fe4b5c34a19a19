"""Arguments with which the page does not start, and a page that is attacked as it was started."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from inspect import signature
from pathlib import Path

import httpx
import psutil
import pytest

from app.launch import studio
from lineas_core.paths import DATA
from tests.app.served import Program

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    """A page that is open to other machines, its address and its log."""
    folder = tmp_path_factory.mktemp("public")
    (folder / "login").write_text("me:sëcret:1\n", encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [
        *(sys.executable, "app.py", "--host", "0.0.0.0", "--port", str(port)),
        *("--data-dir", str(folder / "data"), "--auth-file", str(folder / "login")),
        *("--origin", "https://lineas.example"),
    ]
    log = folder / "log"
    with log.open("wb") as file:
        server = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file)
    address = f"http://127.0.0.1:{port}"
    while server.poll() is None:
        with suppress(httpx.TransportError):
            httpx.get(address, timeout=60)
            break
        time.sleep(0.1)
    assert server.poll() is None, log.read_text()
    yield address, log
    server.terminate()
    server.wait()


def _log_in(address, password="sëcret:1", **headers):
    login = {"username": "me", "password": password}
    return httpx.post(f"{address}/login", data=login, headers=headers, timeout=60)


def test_a_public_page_asks_for_the_login_and_knows_its_own_origins(public):
    address, _ = public
    assert httpx.get(f"{address}/config", timeout=60).status_code == 401
    assert _log_in(address, "wrong").status_code == 400
    assert _log_in(address, origin="https://lineas.example", host="lineas.example").is_success
    for origin in ("https://evil.example", "null", "http://lineas.example"):
        answer = _log_in(address, origin=origin)
        assert (answer.status_code, "access-control-allow-origin" in answer.headers) == (
            403,
            False,
        )
    cookies = _log_in(address).headers.get_list("set-cookie")
    assert all(re.search(r"SameSite=Lax$", cookie) for cookie in cookies)


def test_the_log_of_a_public_page_has_no_line_of_a_visitor(public):
    address, log = public
    program = Program(address)
    program.http.cookies = _log_in(address).cookies
    forged = "\r\n2026-01-01 00:00:00 ERROR forged\x1b[2J" + "x" * 100_000
    assert program.call("continue_text", forged)[0] == "error"
    assert program.call("rates", forged, [forged])[0] == "error"
    assert program.http.post("/gradio_api/call/nothing", json={"data": [forged]}).is_client_error
    session = {"data": [forged] * 9, "session_hash": forged, "fn_index": 3}
    program.http.post("/gradio_api/queue/join", json=session)
    with suppress(httpx.TransportError):  # the server does not wait for all of it
        content = iter([b"x" * 1_000_000] * 100)
        too_large = program.http.post("/gradio_api/call/rates", content=content)
        assert too_large.status_code == 413
    assert program.call("list_maps")[0] == "complete"
    written = log.read_bytes()
    assert not re.search(rb"[\r\n]2026-01-01|\x1b", written)
    assert len(written) < 50_000


def test_the_login_can_be_in_the_environment_and_is_asked_for_once(tmp_path):
    file = tmp_path / "login"
    file.write_text("me:secret\n")
    command = [sys.executable, "app.py", "--auth-file", str(file)]
    environment = {**os.environ, "LINEAS_AUTH": "me:secret"}
    ended = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "Give the login once" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--host", "0.0.0.0"],
        ["--share"],
        ["--root-path", "/studio"],
        ["--origin", "http://a.b"],
        ["--auth", "name"],
    ],
)
def test_a_public_page_without_a_login_does_not_start(arguments):
    command = [sys.executable, "app.py", *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "user:password" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "99999"], "--port is 99999; give one from 1 to 65535."),
        (["--port", "{free}", "--data-dir", "{file}/data"], "give another --data-dir."),
        (["--auth-file", "{file}"], "The login must have the form user:password."),
        (["--auth-file", "{file}/none"], "cannot be read (Not a directory)."),
        (["--mcp", "--auth", "me:secret"], "offer the tools without asking for it."),
        (["--openai", "a", "--auth", "me:secret"], "give one in LINEAS_API_KEY."),
        (["--origin", "lineas.example"], "give an address such as https://lineas.example."),
    ],
)
def test_a_start_that_cannot_be_is_one_sentence(tmp_path, arguments, sentence):
    file = tmp_path / "file"
    file.touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    command = [sys.executable, "app.py", *(a.format(free=free, file=file) for a in arguments)]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith(sentence)


def test_a_port_that_is_taken_is_one_sentence_and_touches_no_data(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "app.py", "--port", port, "--data-dir", str(tmp_path / "data")]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert f"127.0.0.1:{port} cannot be used" in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()


@pytest.fixture
def interruptible():
    """Programs in the background of a shell ignore an interrupt, and so do their children."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_page_that_ends_while_it_starts_leaves_no_process(tmp_path, number):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "app.py", "--port", str(port), "--data-dir", str(tmp_path)]
    page = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    starting = psutil.Process(page.pid)
    while not (children := starting.children(recursive=True)):
        time.sleep(0.01)
    page.send_signal(number)
    page.wait()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive


def test_the_commands_look_for_maps_in_the_data_folder_of_the_page():
    assert signature(studio).parameters["data_dir"].default == DATA
