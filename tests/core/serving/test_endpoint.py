"""The endpoint as programs see it: a real server on this machine, and OpenAI's own client."""

import asyncio
import http.client
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace

import openai
import pytest
import torch

from lineas_core import (
    AffineMap,
    SteeringMaps,
    UserError,
    compose,
    find_modules,
    fold,
    steer,
)
from lineas_core.models import Sampling
from lineas_core.serving import endpoint
from lineas_core.serving.body import ChatBody, CompletionBody, parse
from lineas_core.serving.endpoint import Endpoint
from lineas_core.serving.engine import Limits
from lineas_core.serving.errors import ApiError
from lineas_core.serving.served import Served
from lineas_core.serving.server import listen, server_of
from tests.fakes import tiny_language_model

TEMPLATE = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('No system role') }}"
    "{% endif %}{{ m.role }}: {{ m.content }}\n{% endfor %}assistant:"
)
KEY = "a key with ümlauts"


def _maps(model, pattern, seed):
    draw = torch.Generator().manual_seed(seed)
    steps = {
        name: AffineMap(1 + 0.3 * torch.randn(32, generator=draw), torch.randn(32, generator=draw))
        for name in find_modules(model.network, pattern)
    }
    return SteeringMaps(steps, {"strength": 0.5})


@pytest.fixture(scope="module")
def model():
    model = tiny_language_model()
    model.tokenizer.chat_template = TEMPLATE
    return model


@pytest.fixture(scope="module")
def endless():
    return tiny_language_model(endless=True)


@pytest.fixture(scope="module")
def maps(model):
    return {
        "football-tiny": _maps(model, ".*o_proj", 1),
        "night": _maps(model, ".*post.*layernorm", 2),
    }


@contextmanager
def _serving(model, maps, *, key="", origins=(), **limits):
    """A server in a thread: its port, its engine, and OpenAI's client for it."""
    started = Endpoint(Served.of(model, maps), Limits(**limits))
    listening = listen("127.0.0.1", 0)
    server = server_of(started, key, origins)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    port = listening.getsockname()[1]
    client = openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key=key or "-", max_retries=0
    )
    try:
        yield SimpleNamespace(port=port, engine=started.engine, client=client)
    finally:
        client.close()
        server.should_exit = True
        thread.join()
        started.close()


@pytest.fixture(scope="module")
def server(model, maps):
    with _serving(model, maps) as server:
        yield server


@pytest.fixture
def client(server):
    return server.client


def _alone(model, maps, prompt, seed, **strengths):
    """What `lineas generate` writes."""
    chosen = [maps[name.replace("_", "-")] for name in strengths]
    with fold(model.network, compose(chosen, [*strengths.values()])):
        (text,) = model.generate([prompt], seeds=[seed], sampling=Sampling(max_new_tokens=16))
    return text


def _until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_model_is_listed_with_each_of_its_maps(client):
    names = [model.id for model in client.models.list()]
    assert names == ["tiny", "tiny+football", "tiny+night"]
    assert client.models.retrieve("tiny+football:0.3+night").id == "tiny+football:0.3+night"


def test_a_completion_is_what_the_command_line_writes(client, model, maps):
    answer = client.completions.create(model="tiny", prompt="hello", seed=7)
    assert answer.choices[0].text == _alone(model, maps, "hello", 7)
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage.prompt_tokens == len(model.tokenizer("hello")["input_ids"])
    assert answer.usage.completion_tokens <= 16


def test_maps_are_chosen_in_the_body_or_in_the_name_of_the_model(client, model, maps):
    wanted = _alone(model, maps, "hello", 7, football_tiny=0.8, night=-0.4)
    in_body = client.completions.create(
        model="tiny",
        prompt="hello",
        seed=7,
        extra_body={"lineas": {"football-tiny": 0.8, "night": -0.4}},
    )
    in_name = client.completions.create(
        model="tiny+football:0.8+night:-0.4", prompt="hello", seed=7
    )
    assert in_body.choices[0].text == in_name.choices[0].text == wanted
    default = client.completions.create(model="tiny+football", prompt="hello", seed=7)
    assert default.choices[0].text == _alone(model, maps, "hello", 7, football_tiny=0.5)
    assert len({wanted, default.choices[0].text, _alone(model, maps, "hello", 7)}) == 3


def test_a_chat_is_what_the_command_line_writes_with_the_template(client, model):
    answer = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": "hello"}], seed=7, max_tokens=16
    )
    (wanted,) = model.generate(
        ["hello"], seeds=[7], sampling=Sampling(max_new_tokens=16), chat=True
    )
    assert answer.choices[0].message.content == wanted
    assert answer.choices[0].message.role == "assistant"
    parts = [{"type": "text", "text": "hel"}, {"type": "text", "text": "lo"}]
    same = client.chat.completions.create(
        model="tiny", messages=[{"role": "user", "content": parts}], seed=7, max_tokens=16
    )
    assert same.choices[0].message.content == wanted


@pytest.mark.parametrize("chat", [False, True])
def test_a_stream_makes_up_the_whole_answer(client, chat):
    options = {"model": "tiny+night", "seed": 3, "n": 2, "max_tokens": 12}
    if chat:
        create = client.chat.completions.create
        options["messages"] = [{"role": "user", "content": "hello"}]
    else:
        create, options["prompt"] = client.completions.create, "hello"
    whole = create(**options)
    texts, ends, usage = ["", ""], {}, None
    for chunk in create(**options, stream=True, stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += (choice.delta.content or "") if chat else choice.text
            if choice.finish_reason:
                ends[choice.index] = choice.finish_reason
    wanted = [choice.message.content if chat else choice.text for choice in whole.choices]
    assert texts == wanted
    assert ends == {choice.index: choice.finish_reason for choice in whole.choices}
    assert usage == whole.usage


def test_choices_have_consecutive_seeds_and_prompts_come_in_order(client):
    def texts(**options):
        made = client.completions.create(model="tiny", **options)
        return [choice.text for choice in made.choices]

    one, two = texts(prompt="hello", seed=5), texts(prompt="hello", seed=6)
    other = texts(prompt="bye", seed=5)
    assert texts(prompt="hello", seed=5, n=2) == one + two
    assert texts(prompt=["hello", "bye"], seed=5) == one + other


def test_an_answer_may_fill_the_context_whatever_its_size():
    model = tiny_language_model(endless=True)
    model.tokenizer.chat_template = TEMPLATE
    model.network.config.max_position_embeddings = 8192
    longest = 8192 - len(Served.of(model, {}).encode_chat(TALK))
    with _serving(model, {}) as server:
        options = {"model": "tiny", "messages": TALK}
        create = server.client.chat.completions.create
        with create(**options, max_completion_tokens=longest, stream=True) as stream:
            assert next(iter(stream)).choices
        for size in (longest + 1, 900_000):
            with pytest.raises(openai.BadRequestError, match="together more than 8192"):
                create(**options, max_tokens=size)


def test_without_a_seed_texts_differ(client):
    made = [client.completions.create(model="tiny", prompt="hello") for _ in range(4)]
    assert len({each.choices[0].text for each in made}) > 1


def test_a_text_ends_at_a_stop_sequence_and_temperature_zero_is_certain(client):
    options = {"model": "tiny", "prompt": "hello", "max_tokens": 30}
    cold = {
        client.completions.create(**options, temperature=0, seed=k).choices[0].text for k in (1, 2)
    }
    assert len(cold) == 1
    (text,) = cold
    stop = text[4:6]
    cut = client.completions.create(**options, temperature=0, stop=stop).choices[0]
    assert cut.text == text[: text.index(stop)]
    assert cut.finish_reason == "stop"


def test_sixty_four_clients_at_once_get_what_each_gets_alone(server, model, maps):
    strengths = [k / 32 - 1 for k in range(64)]

    def ask(k):
        answer = server.client.completions.create(
            model="tiny",
            prompt=f"text {k}",
            seed=k,
            extra_body={"lineas": {"night": strengths[k]}},
        )
        return answer.choices[0].text

    most = []
    with ThreadPoolExecutor(64) as pool:
        asked = [pool.submit(ask, k) for k in range(64)]
        while not all(each.done() for each in asked):
            most.append(server.engine.rows)
            time.sleep(0.001)
    prompts, sampling = [f"text {k}" for k in range(64)], Sampling(max_new_tokens=16)
    with steer(model.network, maps["night"], strengths):
        wanted = model.generate(prompts, seeds=range(64), sampling=sampling)
    assert [each.result() for each in asked] == wanted
    assert 1 < max(most) <= 32


def _raw(port, body, *, path="/v1/completions", method="POST", **headers):
    """Send a request with any body; return status, headers and JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    fields = {
        "content-type": "application/json",
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    connection.request(method, path, data, fields)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, dict(response.getheaders()), text


@pytest.mark.parametrize("stream", [False, True])
def test_the_row_of_a_client_that_leaves_leaves_the_batch(endless, stream):
    with _serving(endless, {}, rows=1) as server:
        body = {"model": "tiny", "prompt": "a", "max_tokens": 500, "stream": stream, "n": 3}
        data = json.dumps(body).encode()
        head = (
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        )
        sock = socket.create_connection(("127.0.0.1", server.port))
        sock.sendall(head.encode() + data)
        _until(lambda: server.engine.generated_tokens)
        sock.close()
        _until(lambda: not (server.engine.rows or server.engine.waiting))
        assert server.engine.generated_tokens < 3 * 490


CHAT = {"messages": [{"role": "user", "content": "hello"}]}
BAD = [
    ({"prompt": "a"}, 400, "model", "model"),
    ({"model": "gpt-5", "prompt": "a"}, 404, "model", "is not served here"),
    ({"model": "tiny+day", "prompt": "a"}, 404, "lineas", "no map 'day'"),
    ({"model": "tiny+night:2", "prompt": "a"}, 400, "model", "from -1 to 1"),
    ({"model": "tiny+night:nan", "prompt": "a"}, 400, "model", "from -1 to 1"),
    ({"model": "tiny", "prompt": "a", "lineas": {"day": 1}}, 404, "lineas", "no map 'day'"),
    ({"model": "tiny", "prompt": "a", "lineas": {"night": 1.5}}, 400, "lineas", "lineas.night"),
    ({"model": "tiny", "prompt": "a", "lineas": {"night": "x"}}, 400, "lineas", "lineas.night"),
    ({"model": "tiny", "prompt": "a", "lineas": {"night": True}}, 400, "lineas", "lineas.night"),
    ({"model": "tiny", "prompt": "a", "lineas": [1]}, 400, "lineas", "lineas"),
    ({"model": "tiny+night", "prompt": "a", "lineas": {"night": 1}}, 400, "lineas", "twice"),
    ({"model": "tiny", "prompt": 5}, 400, "prompt", "prompt"),
    ({"model": "tiny", "prompt": []}, 400, "prompt", "prompt"),
    ({"model": "tiny", "prompt": "a" * 600}, 400, None, "more than 512"),
    ({"model": "tiny", "prompt": "a", "max_tokens": 511}, 400, None, "more than 512"),
    ({"model": "tiny", "prompt": "a", "max_tokens": 0}, 400, "max_tokens", "max_tokens"),
    ({"model": "tiny", "prompt": "a", "max_tokens": "5"}, 400, "max_tokens", "integer"),
    ({"model": "tiny", "prompt": "a", "temperature": 3}, 400, "temperature", "temperature"),
    ({"model": "tiny", "prompt": "a", "top_p": -0.1}, 400, "top_p", "top_p"),
    ({"model": "tiny", "prompt": "a", "n": 0}, 400, "n", "n: "),
    ({"model": "tiny", "prompt": ["a"] * 100, "n": 2}, 400, None, "at most 128"),
    ({"model": "tiny", "prompt": "a", "seed": -1}, 400, "seed", "seed"),
    ({"model": "tiny", "prompt": "a", "stop": [""]}, 400, "stop", "stop"),
    ({"model": "tiny", "prompt": "a", "stop": list("abcde")}, 400, "stop", "stop"),
    ({"model": "tiny", "prompt": "a", "logprobs": 2}, 400, "logprobs", "not supported"),
    ({"model": "tiny", "prompt": "a", "echo": True}, 400, "echo", "not supported"),
    ({"model": "tiny", "prompt": "a", "tempratur": 1}, 400, "tempratur", "no such argument"),
    ({"model": "tiny", "messages": []}, 400, "messages", "messages"),
    (
        {"model": "tiny", "messages": [{"role": "tool", "content": "a"}]},
        400,
        "messages",
        "messages",
    ),
    (
        {"model": "tiny", "messages": [{"role": "system", "content": "a"}, *CHAT["messages"]]},
        400,
        None,
        "No system role",
    ),
    ({"model": "tiny", **CHAT, "tools": [{}]}, 400, "tools", "not supported"),
    ({"model": "tiny", **CHAT, "logprobs": True}, 400, "logprobs", "not supported"),
]


@pytest.mark.parametrize(("body", "status", "param", "part"), BAD)
def test_bad_input_is_one_sentence_in_the_form_of_openai(server, body, status, param, part):
    path = "/v1/chat/completions" if "messages" in body else "/v1/completions"
    found, _, text = _raw(server.port, body, path=path)
    error = json.loads(text)["error"]
    assert (found, error["param"]) == (status, param), error
    assert part in error["message"]
    assert {*error} == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[1]",
        b"\xff\xfe",
        b'{"model": "tiny", "prompt": "\\ud800"}',
        b'{"model": "tiny", "prompt": "a", "temperature": NaN}',
        b'{"a":' * 5000,
        b"",
    ],
)
def test_a_body_that_cannot_be_read_is_refused(server, body):
    status, _, text = _raw(server.port, body)
    assert status == 400
    assert json.loads(text)["error"]["message"]


TALK = [{"role": "user", "content": "a"}]
MEMBERS = {f"k{number}": 1 for number in range(5000)}
PATHS = [
    ({"messages": [*TALK, {**TALK[0], "hint": 1}]}, "messages.1.hint: There is no such argument."),
    ({"messages": [{"role": "user"}]}, "messages.0.content: Field required."),
    ({"messages": [{"role": "user", "content": None}]}, "messages.0.content: A text or a list is"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
        "messages.0.content.0: Only parts of the type text are supported here.",
    ),
    ({"messages": [{"role": "user", "content": [1] * 100_000}]}, "messages.0.content.0: "),
    ({"messages": [{**TALK[0], "tool_calls": [{}]}]}, "messages.0.tool_calls: This argument is"),
    ({"messages": [{**TALK[0], **MEMBERS}]}, "messages.0: There are 5002 members, at most 100"),
    ({"messages": TALK, **MEMBERS}, "There are 5002 members, at most 100 are allowed."),
    (
        {"messages": TALK, "lineas": MEMBERS},
        "lineas: There are 5000 members, at most 100 are allowed.",
    ),
    ({"messages": TALK, "x" * 500: 1}, f"{'x' * 100}: There is no such argument."),
    ({"messages": TALK, "stop": ["a", ""]}, "stop.1: "),
    ({"prompt": ["a", 1]}, "prompt.1: "),
    ({"prompt": "a", "best_of": 2}, "best_of: "),
]


@pytest.mark.parametrize(("arguments", "sentence"), PATHS, ids=range(len(PATHS)))
def test_an_error_has_the_path_to_the_argument(arguments, sentence):
    kind = ChatBody if "messages" in arguments else CompletionBody
    with pytest.raises(ApiError) as refused:
        parse(json.dumps({"model": "tiny", **arguments}).encode(), kind)
    assert sentence in str(refused.value)
    assert len(str(refused.value)) < 200


UNSUPPORTED = {
    "frequency_penalty": ([0, 0.0], [0.5, False]),
    "presence_penalty": ([0, 0.0], [-1, ""]),
    "logit_bias": ([{}], [{"5": 1}, 0]),
    "completions logprobs": ([], [0, 5, False]),
    "completions echo": ([False], [True, 0]),
    "completions suffix": ([""], ["end", 0]),
    "chat logprobs": ([False], [True, 0]),
    "chat top_logprobs": ([0], [3, False]),
    "chat tools": ([[]], [[{}], {}]),
    "chat functions": ([[]], [[{}], ""]),
    "chat response_format": ([{"type": "text"}], [{"type": "json_object"}, {}]),
    "chat audio": ([], [{}, False]),
}


@pytest.mark.parametrize("argument", UNSUPPORTED)
def test_an_unsupported_argument_may_only_have_the_values_that_ask_for_nothing(argument):
    *kind, name = argument.split()
    body = {"model": "tiny"} | ({"messages": TALK} if kind == ["chat"] else {"prompt": "a"})
    read = ChatBody if kind == ["chat"] else CompletionBody
    nothing, something = UNSUPPORTED[argument]
    for value in (None, *nothing):
        parse(json.dumps({**body, name: value}).encode(), read)
    for value in something:
        with pytest.raises(ApiError, match=f"{name}: This argument is not supported here"):
            parse(json.dumps({**body, name: value}).encode(), read)


def test_an_answer_can_be_sent_back_as_it_came(client):
    options = {"model": "tiny", "max_tokens": 4, "seed": 1}
    answer = client.chat.completions.create(messages=TALK, **options)
    said = answer.choices[0].message.model_dump()
    again = client.chat.completions.create(messages=[*TALK, said, *TALK], **options)
    assert again.usage.completion_tokens
    assert client.completions.create(prompt="a", best_of=1, **options).usage.completion_tokens


def test_a_model_without_a_chat_template_names_the_other_endpoint(endless):
    with (
        _serving(endless, {}) as server,
        pytest.raises(openai.BadRequestError, match="Send a prompt to /v1/completions"),
    ):
        server.client.chat.completions.create(model="tiny", messages=TALK)


@pytest.mark.parametrize("names", [["a:b"], ["a:1e0"], ["a+b"], ["a", "a-tiny"]])
def test_maps_that_a_request_could_not_tell_apart_are_refused(model, names):
    with pytest.raises(UserError, match="Rename"):
        Served.of(model, {name: SteeringMaps({}) for name in names})


def test_a_client_that_reads_nothing_is_given_up(endless, monkeypatch):
    monkeypatch.setattr(endpoint, "PATIENCE", 0.05)
    served = Endpoint(Served.of(endless, {}))
    text = {"model": "tiny", "prompt": "a", "max_tokens": 500, "stream": True}
    headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    scope = {"type": "http", "method": "POST", "path": "/v1/completions", "headers": headers}
    body = [{"type": "http.request", "body": json.dumps(text).encode()}]

    async def receive():
        return body.pop() if body else await asyncio.Event().wait()

    async def send(_):
        await asyncio.Event().wait()

    async def ask():
        async with asyncio.timeout(60):
            await served.app()(scope, receive, send)

    try:
        asyncio.run(ask())
        _until(lambda: not (served.engine.rows or served.engine.waiting))
    finally:
        served.close()


def test_other_ways_to_go_wrong_have_the_form_of_openai_too(server):
    for status, arguments in (
        (413, {"body": b"x" * ((1 << 20) + 1)}),
        (415, {"body": b"{}", "content_type": "text/plain"}),
        (404, {"body": b"{}", "path": "/v1/embeddings"}),
        (404, {"body": b"", "path": "/v1/models/gpt-5", "method": "GET"}),
        (404, {"body": b"", "path": "/elsewhere", "method": "GET"}),
        (405, {"body": b"", "path": "/v1/completions", "method": "GET"}),
        (403, {"body": b"{}", "host": "attacker.example"}),
    ):
        found, _, text = _raw(server.port, **arguments)
        assert found == status, (arguments, text)
        assert json.loads(text)["error"]["message"]


def test_the_client_raises_its_own_errors(client):
    with pytest.raises(openai.NotFoundError, match="Choose tiny"):
        client.completions.create(model="gpt-5", prompt="a")
    with pytest.raises(openai.BadRequestError, match=r"lineas\.night"):
        client.completions.create(model="tiny", prompt="a", extra_body={"lineas": {"night": 7}})


def test_too_many_texts_are_refused_with_when_to_try_again(endless):
    with _serving(endless, {}, rows=1, waiting=2) as server:
        long = {"model": "tiny", "prompt": "a", "max_tokens": 500, "n": 2}
        with server.client.completions.create(**long, stream=True) as stream:
            next(iter(stream))
            with pytest.raises(openai.RateLimitError) as refused:
                server.client.completions.create(**long)
        assert 1 <= int(refused.value.response.headers["retry-after"]) <= 60
        assert refused.value.body["code"] == "rate_limit_exceeded"


def test_a_key_is_asked_for_everywhere_but_at_health(model, maps):
    with _serving(model, maps, key=KEY) as server:
        body = {"model": "tiny", "prompt": "a", "max_tokens": 2}
        right = "Bearer " + KEY.encode().decode("latin-1")
        for given, status in ((right, 200), ("Bearer wrong", 401), (right[:-1], 401), ("", 401)):
            found, headers, text = _raw(server.port, body, authorization=given)
            assert found == status, text
        assert json.loads(text)["error"]["type"] == "authentication_error"
        assert headers["www-authenticate"] == "Bearer"
        for path, status in (("/health", 200), ("/metrics", 401), ("/v1/models", 401)):
            assert _raw(server.port, b"", path=path, method="GET")[0] == status
        named = {"authorization": right, "host": "lineas.example"}
        assert _raw(server.port, body, **named)[0] == 200  # a key is as good under any name


def test_scripts_of_the_web_pages_that_are_named_may_read_answers_and_no_others(model, maps):
    page, asked = "https://chat.example", {"access_control_request_method": "POST"}
    asked["access_control_request_headers"] = "authorization,content-type,x-stainless-os"
    body = {"model": "tiny", "prompt": "a", "max_tokens": 2}
    right = "Bearer " + KEY.encode().decode("latin-1")
    with _serving(model, maps, key=KEY, origins=[page]) as server:
        status, headers, _ = _raw(server.port, b"", method="OPTIONS", origin=page, **asked)
        assert (status, headers["access-control-allow-origin"]) == (200, page)
        assert "authorization" in headers["access-control-allow-headers"]
        assert "POST" in headers["access-control-allow-methods"]
        for key, wanted in ((right, 200), ("Bearer wrong", 401)):
            status, headers, _ = _raw(server.port, body, origin=page, authorization=key)
            assert (status, headers["access-control-allow-origin"]) == (wanted, page)
        for other in ("https://evil.example", "http://chat.example", f"{page}.evil", "null"):
            status, headers, _ = _raw(server.port, b"", method="OPTIONS", origin=other, **asked)
            assert status == 401
            _, more, _ = _raw(server.port, body, origin=other, authorization=right)
            assert not [name for name in {**headers, **more} if name.startswith("access-control")]


def test_metrics_count_requests_tokens_and_rows(model, maps):
    with _serving(model, maps) as server:
        server.client.completions.create(model="tiny", prompt="hello", max_tokens=3, n=2, seed=1)
        _raw(server.port, b"{")
        for path in ("/v1/elsewhere", "/elsewhere"):
            _raw(server.port, b"", path=path, method="GET")
        _raw(server.port, b"", method="GET")
        _raw(server.port, b"{}", host="attacker.example")
        _, headers, text = _raw(server.port, b"", path="/metrics", method="GET")
        assert headers["content-type"].startswith("text/plain; version=0.0.4")
        values = dict(
            line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")
        )
        assert values['lineas_requests_total{path="/completions",status="200"}'] == "1"
        assert values['lineas_requests_total{path="/completions",status="400"}'] == "1"
        assert values['lineas_requests_total{path="other",status="404"}'] == "2"
        assert values['lineas_requests_total{path="/completions",status="405"}'] == "1"
        assert values['lineas_requests_total{path="/completions",status="403"}'] == "1"
        assert values["lineas_prompt_tokens_total"] == "12"
        assert values["lineas_generated_tokens_total"] == "6"
        assert values["lineas_batch_rows"] == values["lineas_queue_length"] == "0"


def test_a_port_in_use_is_one_sentence(server):
    with pytest.raises(UserError, match="Give another --port"):
        listen("127.0.0.1", server.port)


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-name.invalid"])
def test_a_host_of_another_machine_is_one_sentence(host):
    with pytest.raises(UserError, match="Give another --host"):
        listen(host, 0)
