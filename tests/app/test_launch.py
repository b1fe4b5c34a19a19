"""Arguments with which the page does not start."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    "arguments",
    [["--host", "0.0.0.0"], ["--share"], ["--root-path", "/studio"], ["--auth", "name"]],
)
def test_a_public_page_without_a_login_does_not_start(arguments):
    command = [sys.executable, "app.py", *arguments]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "user:password" in ended.stderr.splitlines()[-1]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--port", "99999"], "--port is 99999; give one from 1 to 65535."),
        (["--port", "{free}", "--data-dir", "{file}/data"], "give another --data-dir."),
    ],
)
def test_a_start_that_cannot_be_is_one_sentence(tmp_path, arguments, sentence):
    file = tmp_path / "file"
    file.touch()
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    command = [sys.executable, "app.py", *(a.format(free=free, file=file) for a in arguments)]
    ended = subprocess.run(
        command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].endswith(sentence)


def test_a_port_that_is_taken_is_one_sentence_and_touches_no_data(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [sys.executable, "app.py", "--port", port, "--data-dir", str(tmp_path / "data")]
        ended = subprocess.run(
            command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False
        )
    assert ended.returncode == 2
    assert f"127.0.0.1:{port} cannot be used" in ended.stderr.splitlines()[-1]
    assert not (tmp_path / "data").exists()
