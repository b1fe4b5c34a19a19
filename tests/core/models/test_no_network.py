"""No network at all, and a hub that refuses: nothing waits, and what is here goes on working."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LONGEST = 180  # seconds, most of them for imports on a busy machine


def _run(*arguments, prefix=(), **environment):
    """Run the command line; returns status, stdout and the lines of stderr that are errors."""
    command = [*prefix, sys.executable, "-m", "lineas_core", *map(str, arguments)]
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=LONGEST,
    )
    return ended.returncode, ended.stdout, ended.stderr


@contextmanager
def _hub(status, body=b"{}"):
    """A hub on this machine that answers everything with one status; yields its address."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After", "3600")
            self.end_headers()
            self.wfile.write(body * (self.command == "GET"))

        do_HEAD = do_POST = do_GET

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.slow
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_a_hub_that_refuses_is_one_sentence(tmp_path, status):
    with _hub(status) as address:
        hub = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path), "HF_TOKEN": "hf_canary"}
        code, written, errors = _run("generate", "hello", "--model", "owner/name", **hub)
    assert (code, written) == (1, "")
    *_, last = errors.splitlines()
    assert last.startswith("error: ")
    assert ("overloaded" in last) == (status in (429, 500, 503))
    assert "Traceback" not in errors
    assert "hf_canary" not in errors


@pytest.mark.slow
def test_a_hub_that_answers_nonsense_is_one_sentence(tmp_path):
    with _hub(200, b"<html>sign in</html>") as address:
        hub = {"HF_ENDPOINT": address, "HF_HOME": str(tmp_path)}
        code, written, errors = _run("generate", "hello", "--model", "owner/name", **hub)
    assert (code, written) == (1, "")
    assert errors.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in errors


@pytest.fixture
def cut_off():
    """The beginning of a command that has no network, not even this machine."""
    prefix = ("unshare", "--map-root-user", "--net")
    if not shutil.which("unshare") or subprocess.run([*prefix, "true"], check=False).returncode:
        pytest.skip("this system cannot take the network from a process")
    return prefix


@pytest.mark.slow
def test_a_picture_is_painted_without_any_network(cut_off, tmp_path):
    code, written, errors = _run(
        *("generate", "a robot in a street", "--map", "robot-emoji-world:0.5"),
        *("--output-dir", tmp_path, "--json"),
        prefix=cut_off,
    )
    assert code == 0, errors
    assert Path(json.loads(written)["file"]).stat().st_size > 1_000


@pytest.mark.slow
def test_what_needs_the_network_says_so_at_once_without_one(cut_off, tmp_path):
    began = time.monotonic()
    _run("info", "nothing", prefix=cut_off)
    start = time.monotonic() - began  # what imports take
    began = time.monotonic()
    arguments = ("generate", "hello", "--model", "owner/name")
    code, _, errors = _run(*arguments, prefix=cut_off, HF_HOME=str(tmp_path))
    assert code == 1, errors
    assert errors.splitlines()[-1].startswith("error: ")
    assert "Traceback" not in errors
    assert time.monotonic() - began < 3 * start + 20


SERVER = """
import fcntl, socket, struct, sys
with socket.socket() as any:  # bring the loopback device up
    fcntl.ioctl(any, 0x8914, struct.pack("16sh14x", b"lo", 1))
from pathlib import Path
from app.studio.studio import Studio
from tests.app.served import Program, served
with served(Studio(Path(sys.argv[1]))) as (_, address):
    program = Program(address)
    assert "robot-emoji-world" in str(program.call("list_maps"))
    kind, value = program.call("make_pictures", "robot-emoji-world", "a robot", [0, 1])
    print(kind, len(value[0]))
"""


@pytest.mark.slow
def test_the_page_opens_and_paints_without_any_network(cut_off, tmp_path):
    command = [*cut_off, sys.executable, "-c", SERVER, str(tmp_path)]
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST
    )
    assert ended.returncode == 0, ended.stderr
    assert "complete 2" in ended.stdout
