"""Requests that no page would send, over HTTP to a real page with tiny models."""

import io
import logging
import re
from urllib.parse import quote

import gradio as gr
import pytest

from app.log import EscapingFormatter
from tests.app.served import Program

GOOD = {
    "list_maps": [],
    "make_pictures": ["letters", "a b", [0.0], 0, None, None, None, None],
    "continue_text": ["words", "a b", [0.0], 0, 1, 1.0, False],
    "rates": ["words", ["a b"], ["e"], 1],
    "learn": ["Title", ["a", "b"], ["c", "d"], "nope", "quick", 0, "lineas", *[False] * 3]
    + [1.0, 0.0, ".*norm", [0], 4, 2.5],
    "job": ["20260101-000000-abcd"],
    "stop_job": ["20260101-000000-abcd"],
    "resume_job": ["20260101-000000-abcd"],
}
WRONG = (
    *(None, True, 1, -1, 1.5, 10**30, float("nan"), float("inf"), "", "text", "\ud800", "a\r\nb"),
    *([], [None], ["text"], ["\ud800"], [[]], [1, "a"], [["letters", "a"]], {}, {"path": "/x"}),
)


@pytest.fixture
def program(page):
    return Program(page[1])


@pytest.fixture
def written(capfd):
    """What the server has written since the start of the test: its log, and what it prints."""
    log, root = io.StringIO(), logging.getLogger()
    handler = logging.StreamHandler(log)
    handler.setFormatter(EscapingFormatter())
    root.addHandler(handler)
    yield lambda: log.getvalue() + "".join(capfd.readouterr())
    root.removeHandler(handler)


def test_the_table_has_every_endpoint_and_every_argument(program):
    endpoints = program.http.get("/gradio_api/info").json()["named_endpoints"]
    arguments = {name[1:]: len(each["parameters"]) for name, each in endpoints.items()}
    assert arguments == {name: len(values) for name, values in GOOD.items()}


@pytest.mark.parametrize(
    ("endpoint", "place"),
    [(name, place) for name, values in GOOD.items() for place in range(len(values))],
)
def test_every_wrong_value_is_answered_with_a_sentence(program, endpoint, place, written):
    for wrong in WRONG:
        arguments = GOOD[endpoint].copy()
        arguments[place] = wrong
        kind, value = program.call(endpoint, *arguments)
        if kind == "error":
            assert re.match(r"\S.{10,400}\.$", value["error"]), (wrong, value)
            assert "Internal error" not in value["error"], (wrong, value)
        else:
            assert kind == "complete", (wrong, value)
    assert not re.search("Traceback|WARNING|ERROR", log := written()), log


@pytest.mark.parametrize(
    ("endpoint", "arguments", "sentence"),
    [
        ("rates", ["words", "abc"], "`openings` is 'abc'. Give a list of texts."),
        ("rates", ["words", ["a", 1]], "`openings[1]` is 1. Give a text."),
        (
            "learn",
            ["T", ["a"], ["b"], "m", "quick", 1.5],
            "`heldout` is 1.5. Give a whole",
        ),
        ("learn", ["T", ["a"], ["b"], ["m"]], "`model` is ['m']. Give a text."),
        ("continue_text", ["words", "a", [True]], "`strengths[0]` is True. Give a number."),
        ("continue_text", ["words", "a", 1], "`strengths` is 1. Give a list of numbers."),
        ("job", ["\ud800"], "A text has an unpaired surrogate at character 1."),
        ("job", [], "0 arguments were given for job_id. 1 are needed."),
        ("list_maps", ["a"], "1 arguments were given for none."),
    ],
)
def test_a_sentence_names_the_argument(program, endpoint, arguments, sentence):
    kind, value = program.call(endpoint, *arguments)
    assert (kind, value["error"][: len(sentence)]) == ("error", sentence)


def test_missing_arguments_take_their_defaults(program):
    kind, (rows,) = program.call("continue_text", "words", "a b", [0, 1.0])
    assert (kind, [row["strength"] for row in rows]) == ("complete", [0, 1])
    assert all(row["perplexity"] >= 1 for row in rows)
    kind, (pictures,) = program.call("make_pictures", "letters", "a b", [0])
    assert (kind, len(pictures)) == ("complete", 1)


def test_an_emptied_number_box_is_no_internal_error(page, program):
    """The box of a slider is empty while a number is typed into it."""
    demo, _ = page
    for number, function in demo.fns.items():
        if not any(isinstance(block, gr.Slider | gr.Number) for block in function.inputs):
            continue
        if function.fn is None:
            continue
        name = str(getattr(function.fn, "__qualname__", function.fn))
        values = [_typed(block, name) for block in function.inputs]
        told = program.join("typing", number, values)["output"]
        assert "Internal error" not in str(told.get("error")), (name, told)


def _typed(block, name):
    """What a page sends for a component whose number boxes are all empty."""
    if isinstance(block, gr.Slider | gr.Number):
        return None if block.label else block.value  # without one, nobody can type
    if isinstance(block, gr.Dropdown) and (block.label or "").startswith(("Concept", "Inspect")):
        return "words" if re.match("Text|Rates|BlindText|Chat", name) else "letters"
    return "a b" if isinstance(block, gr.Textbox) else block.value


FORGED = re.compile(r"[\r\n\u2028]2026-01-01|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u202e]")
ATTACK = "a\r\n2026-01-01 ERROR forged: \x1b[2J\x9b2J\u2028\u202e" + "x" * 5_000


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("call/continue_text", {"data": [ATTACK]}),
        ("call/list_maps", {"data": [ATTACK] * 9}),
        ("call/{attack}", {"data": []}),
        ("call/v2/job", {ATTACK: 1}),
        ("call/v2/{attack}", {}),
        ("run/{attack}", {"data": [ATTACK]}),
        ("queue/join", {"data": [ATTACK], "session_hash": "s", "fn_index": 10**6}),
        ("queue/join", {"data": [ATTACK], "session_hash": ATTACK, "fn_index": 0}),
        ("queue/join", {"data": [ATTACK], "fn_index": 0}),
        ("queue/join", {"data": ATTACK}),
        ("queue/join", [ATTACK]),
        ("component_server", {"data": ATTACK, "component_id": 1, "session_hash": ATTACK}),
    ],
)
def test_no_request_can_forge_or_flood_the_log(program, path, body, written):
    address = f"/gradio_api/{path.format(attack=quote(ATTACK[:300]))}"
    answer = program.http.post(address, json=body)
    if "event_id" in answer.text:  # wait until it has been worked on
        program.call("list_maps")
    else:
        assert 400 <= answer.status_code < 500
    assert FORGED.search(log := written()) is None, log
    assert len(log) < 10_000


def test_every_event_of_the_page_survives_wrong_values(page, program, written):
    demo, _ = page
    for number, function in demo.fns.items():
        if function.fn is None or function.api_visibility == "public":
            continue
        body = {"data": [ATTACK] * len(function.inputs), "fn_index": number, "session_hash": "s"}
        answer = program.http.post("/gradio_api/queue/join", json=body)
        assert answer.status_code == 200, answer.text
    program.call("list_maps")
    assert FORGED.search(log := written()) is None, log


def test_what_is_deeply_nested_is_answered(program):
    for depth in (100, 900, 5_000):
        body = b'{"data": ' + b"[" * depth + b"]" * depth + b"}"
        answer = program.http.post("/gradio_api/call/job", content=body)
        assert answer.status_code in (200, 400, 422)
    assert program.call("list_maps")[0] == "complete"
