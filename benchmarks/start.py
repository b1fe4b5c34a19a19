"""Time from `python app.py` to the page and to the first steered results.

    python -m benchmarks.start [--quick] [--json results/start.json]

Each line is the median of several starts, each in a new process. Requests go through the page's
HTTP endpoints.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from urllib.error import URLError
from urllib.request import urlopen

from gradio_client import Client

from app.studio.maps import ready_made
from app.studio.prompts import PromptLibrary
from app.studio.settings import SEED
from benchmarks.report import report
from lineas_core.paths import ASSETS, PROMPTS

__all__ = ["Mark", "started"]

_ROOT = Path(__file__).parents[1]
_PATIENCE = 120  # seconds to wait for the page to answer
_PICTURES = "vaporwave-emoji-world", "a castle on a hill, vaporwave style"
_SEED = 7
_TEXTS = "football-smollm2-135m", "Once upon a time"
_NINE = [part / 4 for part in range(-4, 5)]


@dataclass(frozen=True)
class Mark:
    """A waiting time, or an amount of memory.

    Attributes:
        name: what is measured.
        value: median over the starts.
        unit: `s` or `GB`.
        values: value of each start.
    """

    name: str
    value: float
    unit: str
    values: list[float]


def marks(times: int) -> Iterator[Mark]:
    """Start the page `times` times, and request pictures and texts each time."""
    starts = [_start() for _ in range(times)]
    for name, unit in starts[0]:
        values = [start[name, unit] for start in starts]
        yield Mark(name, median(values), unit, values)


@contextmanager
def started() -> Iterator[tuple[subprocess.Popen, str, float]]:
    """Start the page with an empty data folder; yields its process, its address and the time."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as data:
        command = [sys.executable, "app.py", "--port", str(port), "--data-dir", data]
        began = time.perf_counter()
        page = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.DEVNULL)
        try:
            while not _answers(url := f"http://127.0.0.1:{port}"):
                if page.poll() is not None or time.perf_counter() - began > _PATIENCE:
                    raise SystemExit(f"the page did not start: exit status {page.poll()}")
                time.sleep(0.05)
            yield page, url, began
        finally:
            page.terminate()
            page.wait()


def _start() -> dict[tuple[str, str], float]:
    with started() as (page, url, began):
        return _visit(page, url, began)


def _visit(page: subprocess.Popen, url: str, began: float) -> dict[tuple[str, str], float]:
    found = {("from the command to the page", "s"): time.perf_counter() - began}
    client = Client(url, verbose=False)

    def paint(strengths: list[float], pictures: tuple = _PICTURES, seed: int = _SEED) -> object:
        return client.predict(*pictures, strengths, seed, None, api_name="/make_pictures")

    def write(strengths: list[float]) -> object:
        return client.predict(*_TEXTS, strengths, api_name="/continue_text")

    paint([0.0, 1.0], _opening(), SEED)
    found["from the command to the picture that the page opens with", "s"] = (
        time.perf_counter() - began
    )
    paint([0.0, 1.0])
    found["from the command to the first picture of another prompt", "s"] = (
        time.perf_counter() - began
    )
    found["memory with emoji-world", "GB"] = _memory(page.pid)
    found["a move of the slider to its picture", "s"] = _seconds(lambda: paint([0.9]))
    found["a strip of nine", "s"] = _seconds(lambda: paint(_NINE))
    found["the first steered text, with the loading of its model", "s"] = _seconds(
        lambda: write([0.0, 1.0])
    )
    found["the next one", "s"] = _seconds(lambda: write([0.0, 0.9]))
    found["memory with SmolLM2 as well", "GB"] = _memory(page.pid)
    return found


def _opening() -> tuple[str, str]:
    """Return the map and the prompt that the page opens with."""
    maps = ready_made(ASSETS / "maps")
    (entry, *_) = [each for each in maps if each.kind == "text-to-image"]
    return entry.id, entry.within(PromptLibrary(PROMPTS).scenes()[0])


def _answers(url: str) -> bool:
    try:
        urlopen(url, timeout=1).close()
    except (URLError, OSError):
        return False
    return True


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _memory(process: int) -> float:
    """Resident memory of a process in GB, from /proc."""
    status = Path(f"/proc/{process}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1e6


def main() -> None:
    """Print a line for each waiting time."""
    report(
        str(__doc__).split("\n")[0],
        {"start": marks},
        ["what", "median", "unit"],
        lambda mark: f"| {mark.name} | {mark.value:.2f} | {mark.unit} |",
        asdict,
        file="results/start.json",
    )


if __name__ == "__main__":
    main()
