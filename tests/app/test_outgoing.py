"""What the page sends out: no request of a visitor makes it call an address, or tell its token."""

import json
import socket
import threading
from contextlib import suppress

import gradio as gr
import httpx
import pytest

from app.library.handlers import LibraryHandlers
from app.log import EscapingFormatter
from app.studio.studio import Studio
from lineas_core import AffineMap, SteeringMaps, save_maps
from tests.app.served import Program, served

TOKEN = "hf_CANARYCANARYCANARY"


@pytest.fixture
def listener():
    """An address on this machine, and the list of those who have called it."""
    calls = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept():
            with suppress(OSError):  # closed at the end
                while True:
                    connection, _ = server.accept()
                    calls.append(connection.recv(1_000))
                    connection.close()

        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}", calls
        server.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def address(assets, tmp_path):
    with served(Studio(tmp_path, assets=assets, hub_token=TOKEN)) as both:
        yield both


def test_no_request_makes_the_page_call_an_address(address, listener):
    (demo, url), (there, calls) = address, listener
    program = Program(url)
    for number, function in demo.fns.items():
        uploads = [isinstance(each, gr.UploadButton) for each in function.inputs]
        if not any(uploads):
            continue
        for place in (f"http://{there}/a.json", f"//{there}/a.json", "file:///etc/passwd"):
            file = {"path": place, "url": place, "meta": {"_type": "gradio.FileData"}}
            data = [file if upload else "a" for upload in uploads]
            session = f"s{number}{len(place)}"
            body = {"data": data, "fn_index": number, "session_hash": session}
            program.http.post("/gradio_api/queue/join", json=body)
            stream = f"/gradio_api/queue/data?session_hash={session}"
            with program.http.stream("GET", stream) as answer:
                last = next(line for line in answer.iter_lines() if "process_completed" in line)
            assert json.loads(last.removeprefix("data: "))["success"] is False
            assert "root:" not in last
    for model in (f"http://{there}/model", f"//{there}/model", f"{there}/model"):
        for endpoint, arguments in (
            ("learn", ["T", ["a", "b"], ["c", "d"], model]),
            ("make_pictures", [model, "a", [0]]),
            ("continue_text", [model, "a", [0]]),
        ):
            assert program.call(endpoint, *arguments)[0] == "error"
    for path in ("file=http://", "proxy=http://", "file=//"):
        program.http.get(f"/gradio_api/{path}{there}/a")
    assert calls == []


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        # As of httpx for a token with a line break.
        (httpx.InvalidURL, "Internal error"),
        (ValueError, "the upload failed .Illegal header value b.*Bearer hf_…"),
        (PermissionError, "the upload failed .Illegal header value b.*Bearer hf_…"),
    ],
)
def test_the_token_is_told_to_nobody(
    address, assets, tmp_path, monkeypatch, caplog, capfd, failure, sentence
):
    def refuse(api, *_, **__):
        raise failure(f"Illegal header value b'Bearer {api.token}'")

    paths = ("/", "/config", "/gradio_api/info", "/gradio_api/openapi.json")
    told = [httpx.get(address[1] + path, timeout=None).text for path in paths]
    monkeypatch.setattr("lineas_core.models.repositories.unreachable", lambda: False)
    monkeypatch.setattr("huggingface_hub.HfApi.create_repo", refuse)
    caplog.handler.setFormatter(EscapingFormatter())  # as in the log of a server
    facts = {"model": "emoji-world", "kind": "text-to-image"}
    save_maps(SteeringMaps({"m": AffineMap.identity(4)}, facts), tmp_path / "maps" / "mine")
    library = LibraryHandlers(Studio(tmp_path, assets=assets, hub_token=TOKEN))
    with pytest.raises(gr.Error, match=sentence) as caught:
        library.publish("mine", "name")
    assert ("hf_…" in caplog.text) == (failure is httpx.InvalidURL)
    told += [str(caught.value), caplog.text, *capfd.readouterr()]
    told += [file.read_bytes().decode("latin-1") for file in tmp_path.rglob("*") if file.is_file()]
    assert not any(TOKEN in text for text in told)
