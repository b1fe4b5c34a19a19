"""Waiting time of one visitor for a picture, alone and beside another visitor's requests.

    python -m benchmarks.beside [--quick] [--json results/beside.json]

The other visitor posts requests to a real page and does not read the answers, or leaves while they
are computed. The aim is a picture within three times the time that it takes alone.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import count
from statistics import median
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from gradio_client import Client

from benchmarks.report import report
from benchmarks.start import Mark, started

_PICTURES = "vaporwave-emoji-world", "a castle on a hill, vaporwave style"
_TEXTS = "football-smollm2-135m"
_NINE = [part / 4 for part in range(-4, 5)]
_OPENINGS = [f"Number {number} is" for number in range(200)]

# Name of a load -> endpoint, arguments, and how many times it is posted.
_LOADS: dict[str, tuple[str, list, int]] = {
    "one long table of texts": ("continue_text", [_TEXTS, "Once", _NINE, 0, 200], 1),
    "eight short texts": ("continue_text", [_TEXTS, "Once", [0, 1], 0, 40], 8),
    "rates of 200 openings, eight seeds": ("rates", [_TEXTS, _OPENINGS, [], 8], 1),
    "256 tables of texts": ("continue_text", [_TEXTS, "Once", _NINE, 0, 200], 256),
}


def marks(times: int) -> Iterator[Mark]:
    """Start the page, and paint pictures alone and beside each load."""
    with started() as (_, url, _):
        visitor, seeds = Client(url, verbose=False), count()

        def paint() -> float:
            began = time.perf_counter()
            visitor.predict(*_PICTURES, [0.0, 1.0], next(seeds), None, api_name="/make_pictures")
            return time.perf_counter() - began

        _post(url, "continue_text", [_TEXTS, "Once", [0]])  # loads the model
        paint()
        alone = [paint() for _ in range(times)]
        yield Mark("a picture, alone", median(alone), "s", alone)
        for name, load in _LOADS.items():
            yield from _beside(name, paint, url, load, median(alone))


def _beside(
    name: str, paint: Callable[[], float], url: str, load: tuple[str, list, int], alone: float
) -> Iterator[Mark]:
    endpoint, arguments, number = load
    for _ in range(number):
        _post(url, endpoint, arguments)
    values = [paint() for _ in range(3)]  # the load is computed for longer than these take
    yield Mark(f"beside {name}", median(values), "s", values)
    yield Mark("its slowest, in times of a picture alone", max(values) / alone, "×", values)


def _post(url: str, endpoint: str, arguments: list) -> None:
    """Post a request without a session, and do not wait for the answer."""
    body = json.dumps({"data": arguments}).encode()
    kind = {"Content-Type": "application/json"}
    with suppress(HTTPError):  # the queue is full
        urlopen(Request(f"{url}/gradio_api/call/{endpoint}", body, kind)).close()


def main() -> None:
    """Print a line for each waiting time."""
    report(
        str(__doc__).split("\n")[0],
        {"beside": marks},
        ["what", "median", "unit"],
        lambda mark: f"| {mark.name} | {mark.value:.2f} | {mark.unit} |",
        asdict,
        file="results/beside.json",
    )


if __name__ == "__main__":
    main()
