"""Uploads over HTTP to a real page behind the guard: floods, half-sent and foreign files."""

import os
import socket
import time
from contextlib import closing, contextmanager
from pathlib import Path

import gradio as gr
import httpx
import pytest

from app.security import LOCAL, Limits, guarded
from app.studio.studio import Studio
from app.ui import build_demo
from app.uploads import TYPES, Quota

UPLOAD = "/gradio_api/upload"
PART = '--b\r\nContent-Disposition: form-data; name="files"; filename="f.txt"\r\n\r\n'
KIND = "multipart/form-data; boundary=b"


@pytest.fixture
def open_page(tmp_path, monkeypatch):
    """Open a page with limits; returns its address and the folder of its uploads."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    opened = []

    def page(**quota):
        with gr.Blocks(analytics_enabled=False) as demo:
            gr.Markdown("")
        limits = Limits(upload=1 << 20, quota=Quota(**quota))
        app = {"lifespan": guarded(LOCAL, (), limits)}
        demo.launch(prevent_thread_lock=True, quiet=True, _frontend=False, app_kwargs=app)
        opened.append(demo)
        return demo.local_url.rstrip("/"), tmp_path / "uploads"

    yield page
    for demo in opened:
        demo.close()


def _upload(address, size=1_000, name="f.txt", visitor="127.0.0.1"):
    transport = httpx.HTTPTransport(local_address=visitor)
    with httpx.Client(transport=transport, timeout=None) as client:
        return client.post(address + UPLOAD, files={"files": (name, os.urandom(size))})


def _stored(folder):
    return [file for file in Path(folder).rglob("*") if file.is_file()]


def _wait_until_empty(folder):
    deadline = time.monotonic() + 60
    while _stored(folder):
        assert time.monotonic() < deadline, _stored(folder)
        time.sleep(0.02)


@contextmanager
def _half_sent(address):
    """A connection whose upload has begun and does not end."""
    host, port = address.removeprefix("http://").split(":")
    with closing(socket.create_connection((host, int(port)))) as connection:
        head = f"POST {UPLOAD} HTTP/1.1\r\nHost: {host}\r\nContent-Type: {KIND}\r\n"
        body = f"Content-Length: 900000\r\n\r\n{PART}" + "x" * 100_000
        connection.sendall((head + body).encode())
        yield connection


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        *((f"f{suffix}", True) for suffix in TYPES),
        ("F.TXT", True),
        *((name, False) for name in ("f.exe", "f.txt.html", "f", ".txt", "f.txt\u202e.py")),
    ],
)
def test_only_files_that_the_page_reads_are_stored(open_page, name, accepted):
    address, folder = open_page()
    answer = _upload(address, name=name)
    assert answer.status_code == (200 if accepted else 415)
    assert len(_stored(folder)) == accepted
    if not accepted:
        assert "This page cannot read “" in answer.text
        assert "Supported file types: .txt" in answer.text


def test_one_foreign_file_among_others_is_not_stored_either(open_page):
    address, folder = open_page()
    files = [("files", ("a.txt", b"a")), ("files", ("b.exe", b"b")), ("files", ("c.txt", b"c"))]
    assert httpx.post(address + UPLOAD, files=files, timeout=None).status_code == 415
    assert _stored(folder) == []


def test_a_flood_of_one_visitor_ends_at_a_quota_and_takes_nobody_else_s(open_page):
    address, folder = open_page(visitor=2 << 20, all=3 << 20)
    statuses = [_upload(address, 100_000).status_code for _ in range(40)]
    accepted = statuses.count(200)
    assert 10 < accepted < 25
    assert set(statuses[accepted:]) == {429}
    assert sum(file.stat().st_size for file in _stored(folder)) <= 2 << 20
    assert "you would have uploaded more than 2 MB" in _upload(address, 100_000).text
    others = [_upload(address, 100_000, visitor="127.0.0.2") for _ in range(20)]
    assert others[0].status_code == 200
    assert "all visitors together would have uploaded more than 3 MB" in others[-1].text
    assert sum(file.stat().st_size for file in _stored(folder)) <= 3 << 20


def test_tiny_files_count_too(open_page):
    address, folder = open_page(visitor=1 << 20)
    for _ in range(30):
        _upload(address, 8)
    assert 10 < len(_stored(folder)) <= 16


def test_uploads_that_have_just_begun_count_in_full(open_page):
    address, _ = open_page(visitor=1_200_000)
    with _half_sent(address):
        deadline = time.monotonic() + 60
        while (answer := _upload(address, 400_000)).status_code == 200:
            assert time.monotonic() < deadline
        assert answer.status_code == 429


def test_an_upload_that_does_not_go_on_is_answered_and_dropped(open_page, monkeypatch):
    monkeypatch.setattr("app.bodies.SILENCE", 0.3)
    address, folder = open_page()
    with _half_sent(address) as connection:
        assert b"408" in connection.recv(100)
    _wait_until_empty(folder)
    assert _upload(address).status_code == 200


def test_an_upload_that_trickles_is_dropped(open_page, monkeypatch):
    monkeypatch.setattr("app.bodies.WHOLE", 0.5)
    address, folder = open_page()
    with _half_sent(address) as connection:
        connection.settimeout(0.05)
        answer, deadline = b"", time.monotonic() + 60
        while b"408" not in answer:
            assert time.monotonic() < deadline
            connection.sendall(b"x")
            try:
                answer += connection.recv(100)
            except TimeoutError:
                continue
    _wait_until_empty(folder)


def test_an_upload_that_is_cut_off_or_too_large_leaves_no_file(open_page):
    address, folder = open_page()
    with _half_sent(address):
        deadline = time.monotonic() + 60
        while not _stored(folder):
            assert time.monotonic() < deadline
            time.sleep(0.01)
    _wait_until_empty(folder)
    headers = {"content-type": KIND}
    pieces = (PART.encode(), *[b"x" * 100_000] * 20)
    try:
        answer = httpx.post(address + UPLOAD, content=iter(pieces), headers=headers, timeout=None)
        assert answer.status_code == 413
    except httpx.WriteError:  # the connection is closed before all is sent
        pass
    _wait_until_empty(folder)


def test_an_upload_that_is_no_upload_leaves_a_file_only_for_a_while(open_page):
    address, folder = open_page()
    field = '\r\n--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n--b--\r\n'
    content, headers = (PART + "x" * 1_000 + field).encode(), {"content-type": KIND}
    httpx.post(f"{address}{UPLOAD}?upload_id=1", content=content, headers=headers, timeout=None)
    for file in _stored(folder):
        os.utime(file, (0, 0))
    assert _upload(address).status_code == 200
    assert len(_stored(folder)) == 1


@pytest.mark.parametrize("path", ["/gradio_api/component_server", "/gradio_api/process_recording"])
def test_files_are_taken_at_one_place_only(open_page, path, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    address, _ = open_page()
    answer = httpx.post(address + path, files={"video": b"x" * 1_000}, timeout=None)
    assert answer.status_code == 415
    assert _stored(tmp_path) == []


def test_the_last_space_of_the_disk_is_not_filled(open_page):
    address, folder = open_page(free=1 << 60)
    answer = _upload(address)
    assert answer.status_code == 507
    assert "nearly full" in answer.text
    assert _stored(folder) == []


def test_every_button_of_the_page_takes_types_that_pass(tmp_path, assets):
    demo = build_demo(Studio(tmp_path, assets=assets))
    buttons = [each for each in demo.blocks.values() if isinstance(each, gr.UploadButton)]
    assert {kind for each in buttons for kind in each.file_types} == {*TYPES}


def test_a_file_that_is_offered_to_download_is_there_for_a_day(tmp_path, assets):
    every, age = build_demo(Studio(tmp_path, assets=assets)).delete_cache
    assert (every, age) == (3600, 24 * 3600)
