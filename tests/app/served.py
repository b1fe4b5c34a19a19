"""A page as `lineas studio` serves it, over tiny models, and a program that calls it."""

import json
from contextlib import contextmanager

import httpx

from app.blocks import app_options
from app.security import LOCAL, guarded
from app.sessions import SESSIONS
from app.ui import build_demo
from lineas_core import LearnConfig, PromptSet, learn, save_maps
from tests.fakes import save_model, tiny_image_model, tiny_language_model

PROMPTS = PromptSet(("a b", "b c"), ("y z", "x y"), name="Letters", keywords=("with ab",))


def tiny_assets(root):
    """A folder of assets with a map for pictures, `letters`, and one for texts, `words`."""
    config = LearnConfig(iterations=1, learning_rate=0.5)
    for name, model in (("letters", tiny_image_model()), ("words", tiny_language_model())):
        model.name = save_model(model, root / f"model of {name}")
        maps = learn(model, PROMPTS.source, PROMPTS.target, config=config)
        save_maps(maps, root / "assets" / "maps" / name, prompts=PROMPTS)
    return root / "assets"


@contextmanager
def served(studio, **options):
    """The page over a studio; yields it and its address."""
    demo = build_demo(studio).queue(max_size=256)
    demo.launch(
        prevent_thread_lock=True,
        quiet=True,
        _frontend=False,
        max_threads=128,
        state_session_capacity=SESSIONS,
        app_kwargs=app_options(guarded(LOCAL)),
        **options,
    )
    try:
        yield demo, demo.local_url.rstrip("/")
    finally:
        demo.close()


def event_of(demo, handler):
    """The number of the event of the page that calls a handler, such as `TextHandlers.choose`."""
    names = {k: getattr(fn.fn, "__qualname__", "") for k, fn in demo.fns.items()}
    return next(k for k, name in names.items() if name == handler)


class Program:
    """Calls endpoints over plain HTTP, as curl does: no session, no defaults."""

    def __init__(self, address, visitor="127.0.0.1"):
        kind = {"content-type": "application/json"}
        transport = httpx.HTTPTransport(local_address=visitor)
        self.http = httpx.Client(base_url=address, timeout=None, headers=kind, transport=transport)

    def post(self, endpoint, *arguments):
        """Post a request; returns its number."""
        answer = self.http.post(f"/gradio_api/call/{endpoint}", content=_json(arguments))
        return answer.raise_for_status().json()["event_id"]

    def events(self, endpoint, number):
        """What the server sends about a request: kind and value."""
        with self.http.stream("GET", f"/gradio_api/call/{endpoint}/{number}") as stream:
            kind = ""
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                kind = value if name == "event" else kind
                if name == "data":
                    yield kind, json.loads(value)

    def call(self, endpoint, *arguments):
        """Post a request and wait; returns the last kind and value."""
        *_, last = self.events(endpoint, self.post(endpoint, *arguments))
        return last

    def join(self, session, number, values):
        """Send an event as the page does; returns the last message about it."""
        body = {"data": values, "fn_index": number, "session_hash": session}
        self.http.post("/gradio_api/queue/join", json=body).raise_for_status()
        address = f"/gradio_api/queue/data?session_hash={session}"
        with self.http.stream("GET", address) as stream:
            done = next(line for line in stream.iter_lines() if "process_completed" in line)
        return json.loads(done.removeprefix("data: "))


def _json(arguments):
    return json.dumps({"data": arguments}).encode()
