"""What the server keeps of its visitors, and pages that an earlier server has opened."""

import gc
import threading
from pathlib import Path

import pytest

from app.sessions import SESSIONS
from tests.app.served import Program, event_of


def test_a_page_that_an_earlier_server_opened_goes_on(page):
    program = Program(page[1])
    number = event_of(page[0], "TextHandlers.choose")
    answer = program.join("opened-before", number, ["words", "typed by me", []])
    assert answer["success"], answer
    refused = program.join("opened-before", number, ["../words", "typed by me", []])
    assert "There is no such map" in refused["output"]["error"]


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
    number = event_of(page[0], "TextHandlers.choose")
    sessions.capacity = 10
    try:
        for visit in range(20):
            program.join(f"visitor-{visit}", number, ["words", "", []])
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
    number = event_of(page[0], "TextHandlers.choose")

    def use(times, name):
        for visit in range(times):
            program.http.get("/")
            program.join(f"{name}-{visit}", number, ["words", "", []])
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
