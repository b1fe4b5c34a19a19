"""Who comes next at the models: the queue alone, and over HTTP with a visitor who floods."""

import asyncio
import threading
import time
from contextlib import suppress

import pytest

from app.studio.pictures import Pictures
from app.turns import Turns, Visitor
from lineas_core import UserError
from tests.app.served import Program, event_of

LONG = ("words", "a b", [-1.0, 0.0, 1.0], 0, 80)


class _Clock:
    """Time that passes in steps of work alone."""

    now = 0.0

    def __call__(self):
        return self.now


async def _work(turns, visitor, steps, log, clock=None, seconds=0.0):
    """A request of several steps; each is written into the log when it has its turn."""
    for step in range(steps):
        async with turns.turn(visitor, begun=step > 0):
            log.append(visitor.session)
            await asyncio.sleep(0)
            if clock:
                clock.now += seconds
        await asyncio.sleep(0)


def test_a_newcomer_waits_for_one_step_whatever_the_others_have_asked_for():
    async def run():
        turns, log = Turns(), []
        flood = [asyncio.create_task(_work(turns, Visitor("a", "A"), 50, log)) for _ in range(8)]
        while len(log) < 100:
            await asyncio.sleep(0)
        before = len(log)
        await _work(turns, Visitor("a", "B"), 1, log)
        assert log.index("B") - before <= 1
        await asyncio.gather(*flood)

    asyncio.run(run())


@pytest.mark.parametrize("other", ["a", "b"])
def test_visitors_get_equal_time_not_equal_numbers(other):
    async def run():
        turns, log = Turns(clock=(clock := _Clock())), []
        await asyncio.gather(
            *(_work(turns, Visitor("a", "slow"), 5, log, clock, 10.0) for _ in range(4)),
            *(_work(turns, Visitor(other, "quick"), 10, log, clock, 1.0) for _ in range(2)),
        )
        until = len(log) - log[::-1].index("quick")
        assert log[:until].count("slow") in (2, 3)  # 20 seconds of each

    asyncio.run(run())


def test_many_sessions_of_one_address_share_what_one_address_gets():
    async def run():
        turns, log = Turns(clock=(clock := _Clock())), []
        crowd = [_work(turns, Visitor("a", f"A{k}"), 4, log, clock, 1.0) for k in range(10)]
        await asyncio.gather(*crowd, _work(turns, Visitor("b", "B"), 10, log, clock, 1.0))
        until = len(log) - log[::-1].index("B")
        assert 20 <= until <= 22  # 10 of B, and about as many of all the others

    asyncio.run(run())


def test_too_many_requests_are_refused_and_the_rest_is_served():
    async def run():
        turns, log = Turns(per_session=3, per_address=5), []
        asked = [_work(turns, Visitor("a", session), 2, log) for session in "AAAAAABBBBCD"]
        refused = await asyncio.gather(*asked, return_exceptions=True)
        sentences = [str(each) for each in refused if isinstance(each, UserError)]
        assert [refused.count(None), len(sentences)] == [5, 7]
        assert sentences[0].startswith("3 of your requests are already waiting. Wait until")
        assert [log.count(session) for session in "ABCD"] == [6, 4, 0, 0]
        await _work(turns, Visitor("a", "C"), 1, log)

    asyncio.run(run())


def test_whoever_leaves_passes_the_turn_on():
    async def run():
        turns, log = Turns(), []
        async with turns.turn(Visitor("a", "A")):
            tasks = [asyncio.create_task(_work(turns, Visitor("a", k), 1, log)) for k in "BCD"]
            await asyncio.sleep(0)
            tasks[1].cancel()
        tasks[0].cancel()  # its turn has just been granted
        await asyncio.gather(*tasks, return_exceptions=True)
        assert log == ["D"]
        with suppress(RuntimeError):
            async with turns.turn(Visitor("a", "A")):
                raise RuntimeError
        await _work(turns, Visitor("a", "E"), 1, log)
        assert log == ["D", "E"]

    asyncio.run(run())


@pytest.fixture
def idle(page):
    """Waits until the server computes nothing any more."""

    def wait():
        while page[0].app.iterators:
            time.sleep(0.05)

    yield wait
    wait()


def test_a_picture_comes_while_another_visitor_floods(page, idle, monkeypatch):
    monkeypatch.setattr("app.blocks._PATIENCE", 5.0)  # those that are read last need not wait
    idle()
    flood, visitor = Program(page[1]), Program(page[1])
    numbers = [flood.post("continue_text", *LONG) for _ in range(40)]
    join = {"data": ["letters", "a b", [0.0, 1.0], 1, None], "session_hash": "visitor"}
    demo = page[0]
    paints = next(k for k, fn in demo.fns.items() if fn.api_name == "make_pictures")
    visitor.http.post("/gradio_api/queue/join", json={**join, "fn_index": paints})
    with visitor.http.stream("GET", "/gradio_api/queue/data?session_hash=visitor") as stream:
        done = next(line for line in stream.iter_lines() if "process_completed" in line)
    assert '"success":true' in done
    assert page[0].app.iterators  # the flood is still being worked on
    ends = [[*flood.events("continue_text", number)][-1] for number in numbers]
    sentences = {value["error"] for kind, value in ends if kind == "error"}
    assert any("of your requests are already waiting" in sentence for sentence in sentences)


def test_whoever_floods_the_page_with_galleries_is_refused_too(page, idle, monkeypatch):
    """They waited in one queue of Gradio, which then was full for everybody."""
    idle()
    paint, released = Pictures.paint, threading.Event()

    def slow(*args, **kwargs):
        assert released.wait(120)
        return paint(*args, **kwargs)

    monkeypatch.setattr(Pictures, "paint", slow)
    flood = Program(page[1])
    number = event_of(page[0], "OverviewHandlers.overview")
    values = ["letters", "a b", 1, 1, None, None, ""]
    join = {"data": values, "fn_index": number, "session_hash": "galleries"}
    for _ in range(20):
        flood.http.post("/gradio_api/queue/join", json=join).raise_for_status()
    try:
        assert Program(page[1]).call("continue_text", "words", "a", [0.0])[0] == "complete"
    finally:
        released.set()
    with flood.http.stream("GET", "/gradio_api/queue/data?session_hash=galleries") as stream:
        done = [line for line in stream.iter_lines() if "process_completed" in line]
    assert sum('"success":true' in line for line in done) == 8
    assert sum("8 of your requests are already waiting" in line for line in done) == 12


def test_work_that_nobody_reads_ends(page, idle, monkeypatch):
    monkeypatch.setattr("app.blocks._PATIENCE", 0.5)
    program = Program(page[1])
    number = program.post("continue_text", *LONG)
    while not page[0].app.iterators:
        time.sleep(0.05)
    idle()
    *_, (kind, value) = program.events("continue_text", number)
    assert (kind, value["error"][:32]) == ("error", "50 answers were not read within ")


def test_work_ends_when_its_client_leaves(page, idle):
    program = Program(page[1])
    events = program.events("continue_text", program.post("continue_text", *LONG))
    assert next(events)[0] == "generating"
    events.close()  # closes the connection
    idle()


def test_a_python_client_gets_the_last_figures(page):
    from gradio_client import Client

    client = Client(page[1], verbose=False)
    rows = client.predict("words", "a b", [0.0, 1.0], 0, 3, api_name="/continue_text")
    assert [row["strength"] for row in rows] == [0.0, 1.0]
    assert all(row["perplexity"] >= 1 for row in rows)
    (row, *_) = client.predict("words", ["a"], ["e"], 1, api_name="/rates")
    assert row["texts"] == 1
