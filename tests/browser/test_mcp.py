"""The endpoints as tools for a language model, asked by a real MCP client."""

import asyncio
import json
from ast import literal_eval

import pytest

from app.studio.studio import Studio
from tests.browser.pages import served

mcp = pytest.importorskip("mcp", reason='pip install "gradio[mcp]"')
streamable_http = pytest.importorskip("mcp.client.streamable_http")


def test_a_client_finds_the_tools_and_paints(letters, tmp_path):
    with served(Studio(tmp_path, assets=letters), mcp_server=True) as url:
        tools, answer = asyncio.run(_talk(f"{url}gradio_api/mcp/"))
    jobs = {"learn", "job", "stop", "resume"}  # a tool is called like its function
    assert {"list_maps", "make_pictures", "continue_text", *jobs} <= set(tools)
    assert "strengths" in tools["make_pictures"]
    original, steered = literal_eval(answer)
    assert (original["strength"], steered["strength"]) == (0.0, 1.0)
    assert original["png"] != steered["png"]


async def _talk(url):
    """The tools with their arguments, and what one of them answers."""
    asked = {"map_id": "letters", "prompt": "a b", "strengths": [0.0, 1.0], "seed": 1}
    async with (
        streamable_http.streamablehttp_client(url) as (read, write, _),
        mcp.ClientSession(read, write) as session,
    ):
        await session.initialize()
        listed = (await session.list_tools()).tools
        tools = {tool.name: json.dumps(tool.inputSchema) for tool in listed}
        answer = await session.call_tool("make_pictures", asked)
        return tools, answer.content[0].text
