"""What the server keeps of its visitors, and pages that an earlier server has opened."""

import gc
import json
import threading
from pathlib import Path

import pytest

from app.sessions import SESSIONS
from tests.app.served import Program


def _event(demo, handler):
    """The number of the event of the page that calls a handler."""
    names = {k: getattr(fn.fn, "__qualname__", "") for k, fn in demo.fns.items()}
    return next(k for k, name in names.items() if name == handler)


def _join(program, session, number, values):
    """Send an event as the page does; returns the last message about it."""
    body = {"data": values, "fn_index": number, "session_hash": session}
    program.http.post("/gradio_api/queue/join", json=body).raise_for_status()
    address = f"/gradio_api/queue/data?session_hash={session}"
    with program.http.stream("GET", address) as stream:
        done = next(line for line in stream.iter_lines() if "process_completed" in line)
    return json.loads(done.removeprefix("data: "))


def test_a_page_that_an_earlier_server_opened_goes_on(page):
    program = Program(page[1])
    number = _event(page[0], "TextHandlers.choose")
    answer = _join(program, "opened-before", number, ["words", "typed by me", []])
    assert answer["success"], answer
    refused = _join(program, "opened-before", number, ["../words", "typed by me", []])
    assert "there is no such map" in refused["output"]["error"]


def test_requests_without_a_session_leave_none_behind(page):
    program, sessions = Program(page[1]), page[0].state_holder
    before = len(sessions.session_data)
    for _ in range(20):
        assert program.call("list_maps")[0] == "complete"
        assert program.call("continue_text", "words", "a", [0], 0, 2)[0] == "complete"
        assert program.call("job", "none")[0] == "error"
    assert len(sessions.session_data) <= before


def test_visits_do_not_add_up(page):
    program, sessions = Program(page[1]), page[0].state_holder
    number = _event(page[0], "TextHandlers.choose")
    sessions.capacity = 10
    try:
        for visit in range(20):
            _join(program, f"visitor-{visit}", number, ["words", "", []])
        assert len(sessions.session_data) <= 10
        assert len(sessions.time_last_used) <= 10
    finally:
        sessions.capacity = SESSIONS


@pytest.mark.slow
def test_memory_comes_back(page):
    """A soak: 2,000 calls and 1,000 visits; at 0.75 MB each they would take 2 GB.

    Files and threads do not add up either.
    """
    program = Program(page[1])
    number = _event(page[0], "TextHandlers.choose")

    def use(times, name):
        for visit in range(times):
            program.http.get("/")
            _join(program, f"{name}-{visit}", number, ["words", "", []])
            program.call("list_maps")
            program.call("make_pictures", "letters", "a b", [0], visit % 7)
        gc.collect()
        return _resident(), len(list(Path("/proc/self/fd").iterdir())), threading.active_count()

    memory, files, threads = use(SESSIONS + 50, "warm")
    memory_after, files_after, threads_after = use(1_000, "soak")
    assert memory_after < 1.05 * memory
    assert files_after <= files + 10
    assert threads_after <= threads + 5


def _resident():
    """Resident memory in MB."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1000
