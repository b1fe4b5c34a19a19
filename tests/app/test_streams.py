"""What a page asks for while the stream of its answers is closed, over HTTP to a real page."""

import asyncio
import json
import time
from contextlib import aclosing

import gradio as gr
import httpx
import pytest

from app.blocks import StudioBlocks
from tests.app.served import event_of

SESSION = "clicking"


@pytest.fixture
def asked(page):
    """A function that lets a session ask, and returns when the server has taken it up."""
    demo, address = page
    event = event_of(demo, "ModelHandlers.chosen")
    given = [None] * len(demo.fns[event].inputs)

    async def ask(client, session=SESSION):
        body = {"fn_index": event, "data": given, "session_hash": session}
        answer = await client.post(f"{address}/gradio_api/queue/join", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()["event_id"]

    return ask


def _told(page, work):
    """Run a coroutine function with a client and a function that streams messages."""

    async def run():
        async with httpx.AsyncClient(timeout=60) as client:

            async def messages(session=SESSION):
                url = f"{page[1]}/gradio_api/queue/data?session_hash={session}"
                async with client.stream("GET", url) as stream:
                    async for line in stream.aiter_lines():
                        if line.startswith("data:"):
                            yield json.loads(line[5:])

            return await work(client, messages)

    return asyncio.run(run())


def test_what_is_asked_for_right_after_an_answer_is_answered_on_the_same_stream(page, asked):
    async def work(client, messages):
        wanted, answered = [await asked(client)], []
        async for message in messages():
            if message["msg"] == "process_completed":
                answered.append(message["event_id"])
                if len(wanted) < 3:  # a page believes its stream to be open until it reads more
                    wanted.append(await asked(client))
        return wanted, answered

    wanted, answered = _told(page, work)
    assert answered == wanted


def test_a_step_of_an_answer_changes_no_value_of_the_one_before():
    """A page that shows it late would show a button as the next step leaves it."""

    def steps():
        yield gr.Button("Stop", visible=True), "a"
        yield gr.skip(), "ab"
        yield gr.Button(visible=False), "c"

    with StudioBlocks() as demo:
        outputs = [gr.Button(), gr.Textbox()]
        demo.load(steps, None, outputs)
    _, url, _ = demo.queue().launch(prevent_thread_lock=True, quiet=True, _frontend=False)
    try:

        async def work(client, messages):
            body = {"fn_index": 0, "data": [], "session_hash": SESSION}
            await client.post(f"{url.rstrip('/')}/gradio_api/queue/join", json=body)
            return [
                message["output"]["data"]
                async for message in messages()
                if message["msg"] == "process_generating"
            ]

        first, *later = _told((demo, url.rstrip("/")), work)
    finally:
        demo.close()
    assert first == [{"__type__": "update", "value": "Stop", "visible": True}, "a"]
    assert later == [
        [[["replace", [], {"__type__": "update"}]], [["append", [], "b"]]],
        [
            [["replace", [], {"__type__": "update", "visible": False}]],
            [["replace", [], "c"]],
        ],
    ]


def test_no_browser_keeps_a_stream_in_its_cache(page, asked):
    async def work(client, _):
        await asked(client)
        url = f"{page[1]}/gradio_api/queue/data?session_hash={SESSION}"
        async with client.stream("GET", url) as stream:
            return stream.headers.get_list("cache-control")

    assert _told(page, work) == ["no-store"]


def test_a_stream_ends_a_moment_after_its_last_answer(page, asked):
    async def work(client, messages):
        await asked(client)
        return [(message["msg"], time.monotonic()) async for message in messages()]

    (*_, (answer, told), (end, ended)) = _told(page, work)
    assert (answer, end) == ("process_completed", "close_stream")
    assert ended - told >= 0.4


def test_what_is_asked_for_while_a_stream_ends_is_taken_up_after_its_end(page, asked):
    """A page then knows that it has to open another stream."""

    async def work(client, messages):
        await asked(client)
        async with aclosing(messages()) as stream:
            async for message in stream:
                if message["msg"] == "close_stream":
                    late, other = (
                        asyncio.create_task(asked(client, session))
                        for session in (SESSION, "other")
                    )
                    await other
                    early = late.done()
                    break  # it has read the end, and leaves
        event = await asyncio.wait_for(late, 5)
        return early, event in [each["event_id"] async for each in messages()]

    assert _told(page, work) == (False, True)
