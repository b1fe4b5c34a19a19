"""Waiting time, throughput and fairness of the page with 1, 8 and 32 visitors at the same time.

    python -m benchmarks.visitors [--quick] [--json results/visitors.json]

Each visitor moves the slider, waits for the answer, and moves it again: a picture, or a text of
16 tokens beside its original. All of them come from one address, in sessions of their own.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from itertools import product
from statistics import mean, median
from urllib.request import Request, urlopen

from benchmarks.report import report
from benchmarks.start import Mark, started

_VISITORS = (1, 8, 32)
_PICTURE = ["vaporwave-emoji-world", "a castle on a hill, vaporwave style"]
_TEXT = ["football-smollm2-135m", "Once upon a time"]
_TOKENS = 16
_Ask = Callable[[str, int, float], object]


def marks(times: int) -> Iterator[Mark]:
    """Start the page, and let every number of visitors ask `times` times."""
    with started() as (_, url, _):
        for (name, ask), visitors in product(_ASKED.items(), _VISITORS):
            if visitors == _VISITORS[0]:
                ask(url, 0, 0.5)  # loads the model
            yield from _together(name, ask, url, visitors, times)


def _together(name: str, ask: _Ask, url: str, visitors: int, times: int) -> Iterator[Mark]:
    def visit(number: int) -> list[float]:
        seconds = []
        for move in range(times):
            began = time.perf_counter()
            ask(url, 1000 * visitors + number, (1 + move) / times)  # painted by nobody before
            seconds.append(time.perf_counter() - began)
        return seconds

    began = time.perf_counter()
    with ThreadPoolExecutor(visitors) as pool:
        waits = [*pool.map(visit, range(visitors))]
    speed = visitors * times / (time.perf_counter() - began)
    every = sorted(wait for own in waits for wait in own)
    slow = every[math.ceil(0.95 * len(every)) - 1]
    means = [mean(own) for own in waits]
    title = f"{name}, visitors: {visitors}"
    yield Mark(f"{title}: median wait", median(every), "s", every)
    yield Mark(f"{title}: 95% wait less than", slow, "s", every)
    yield Mark(f"{title}: answers a second", speed, "/s", [speed])
    yield Mark(
        f"{title}: mean wait, slowest ÷ quickest visitor", max(means) / min(means), "×", means
    )


def _picture(url: str, visitor: int, strength: float) -> None:
    _call(url, visitor, "make_pictures", [*_PICTURE, [0.0, strength], visitor])


def _text(url: str, visitor: int, strength: float) -> None:
    _call(url, visitor, "continue_text", [*_TEXT, [0.0, strength], visitor, _TOKENS])


_ASKED: dict[str, _Ask] = {"a picture": _picture, "a text": _text}


def _call(url: str, visitor: int, endpoint: str, arguments: list) -> None:
    """Ask an endpoint in the session of a visitor, and read its answer to the end."""
    body = json.dumps({"data": arguments, "session_hash": f"visitor{visitor}"}).encode()
    kind = {"Content-Type": "application/json"}
    address = f"{url}/gradio_api/call/{endpoint}"
    with urlopen(Request(address, body, kind)) as posted:
        event = json.load(posted)["event_id"]
    with urlopen(f"{address}/{event}") as answer:
        if b"event: error" in answer.read():
            raise SystemExit(f"{endpoint} has failed")


def main() -> None:
    """Print a line for each figure."""
    report(
        str(__doc__).split("\n")[0],
        {"visitors": marks},
        ["what", "figure", "unit"],
        lambda mark: f"| {mark.name} | {mark.value:.2f} | {mark.unit} |",
        asdict,
        file="results/visitors.json",
    )


if __name__ == "__main__":
    main()
