"""The tools for language models, attacked by a client that sends what no page would."""

import asyncio
import re

import httpx
import pytest

from app.studio.studio import Studio
from tests.app.served import served

mcp = pytest.importorskip("mcp", reason='pip install "gradio[mcp]"')
streamable_http = pytest.importorskip("mcp.client.streamable_http")

ATTACK = "a\r\n2026-01-01 ERROR forged: \x1b[2J" + "x" * 5_000
CALLS = [
    ("make_pictures", {"map_id": "../letters", "prompt": "a b", "strengths": [0.0]}),
    ("make_pictures", {"map_id": "letters", "prompt": "a b", "strengths": [1e9]}),
    ("make_pictures", {"map_id": "letters", "prompt": "a b", "strengths": "1"}),
    ("make_pictures", {"map_id": "letters", "prompt": ATTACK, "strengths": [0.0]}),
    ("make_pictures", {"map_id": "letters", "prompt": "a b"}),
    ("make_pictures", {"map_id": ["letters"], "prompt": {}, "strengths": None}),
    ("continue_text", {"map_id": "words", "prompt": "", "strengths": [0.0]}),
    ("learn", {"title": ATTACK, "source": ["a"], "target": "b", "model": "http://a/b"}),
    ("job", {"job_id": "../../etc"}),
    ("no_such_tool", {}),
]
ASK = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
KIND = {"accept": "application/json, text/event-stream", "content-type": "application/json"}


@pytest.fixture(scope="module")
def address(assets, tmp_path_factory):
    studio = Studio(tmp_path_factory.mktemp("data"), assets=assets)
    with served(studio, mcp_server=True) as (_, address):
        yield f"{address}/gradio_api/mcp/"


async def _answers(address, calls):
    """What tools answer: whether it is an error, and its text."""
    found = []
    async with (
        streamable_http.streamablehttp_client(address) as (read, write, _),
        mcp.ClientSession(read, write) as session,
    ):
        await session.initialize()
        for name, arguments in calls:
            answer = await session.call_tool(name, arguments)
            found.append((answer.isError, answer.content[0].text))
    return found


def test_wrong_arguments_are_sentences_and_the_tools_go_on(address, capfd):
    good = ("make_pictures", {"map_id": "letters", "prompt": "a b", "strengths": [0.0]})
    *refused, (failed, picture) = asyncio.run(_answers(address, [*CALLS, good]))
    for (name, _), (is_error, text) in zip(CALLS, refused, strict=True):
        assert is_error, name
        assert len(text) < 1_000, name
        assert not re.search(r"Traceback|File \"|Internal error", text), text
    assert not failed
    assert "png" in picture
    assert not re.search(r"[\r\n]2026-01-01|\x1b", "".join(capfd.readouterr()))


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
def test_other_pages_cannot_use_the_tools(address, origin):
    headers = {**KIND, "origin": origin}
    answer = httpx.post(address, json=ASK, headers=headers, timeout=None)
    assert answer.status_code == 403


def test_a_call_without_end_is_cut_off(address):
    pieces = (b'{"jsonrpc": "2.0", "x": "', *[b"x" * 100_000] * 200)
    try:
        answer = httpx.post(address, content=iter(pieces), headers=KIND, timeout=None)
        assert answer.status_code == 413
    except httpx.TransportError:  # the connection is closed before all is sent
        pass
    assert httpx.get(address.replace("/gradio_api/mcp/", "/config"), timeout=None).is_success
