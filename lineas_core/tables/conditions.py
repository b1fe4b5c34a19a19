"""The conditions under which figures were measured: in the cache, in the files and on the page."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

import torch

from lineas_core.models.base import fingerprint
from lineas_core.models.sampling import Sampling
from lineas_core.tables.names import shown_key
from lineas_core.tables.verdicts import Main

__all__ = ["conditions", "machine_of", "place_of", "unequal_at_zero"]

_CPU = "CPU"
_SAME = ("model", "concept", "topic", "topics")  # parts of the key that matter at λ = 0
_EQUAL = 1e-3  # relative difference that the size of a batch alone may cause
_COSTS = (
    Main("perplexity", lambda row: row.get("perplexity"), ".2f"),
    Main("perplexity of prose", lambda row: row.get("prose"), ".2f"),
)


def conditions(model: Any) -> list[Any]:
    """Return what every cached figure of a model depends on, as JSON values.

    These are its name, a hash of its default modules, the precision of its weights, and how it
    samples by default.
    """
    denoising = getattr(model, "denoising", None)  # picture models only
    return [
        model.name,
        fingerprint(model.network, model.default_modules),
        str(model.network.dtype),
        denoising.facts() if denoising else asdict(Sampling()),
    ]


def machine_of(used: Iterable[tuple[torch.device, torch.dtype]]) -> dict[str, str]:
    """Return what a cell records of its machine.

    Args:
        used: device and precision of the weights of each model that it used.

    Returns:
        "device", the name of the GPU or `CPU`; "processor", the model of the CPU; and "dtype"
        where a model was used.
    """
    used = [*used]
    devices = sorted({_name(device) for device, _ in used}) or [_CPU]
    dtypes = sorted({str(dtype).removeprefix("torch.") for _, dtype in used})
    facts = {"device": " and ".join(devices), "processor": _processor()}
    return facts | ({"dtype": " and ".join(dtypes)} if dtypes else {})


def place_of(cell: Mapping[str, Any]) -> str:
    """Return on what a cell was computed; earlier ones say neither processor nor precision."""
    device = cell.get("device", _CPU)
    name = cell.get("processor", _CPU) if device == _CPU else device
    return f"{name} ({cell['dtype']})" if "dtype" in cell else name


def unequal_at_zero(done: Sequence[Mapping[str, Any]], main: Main | None) -> str:
    """Say where lines of one model differ at λ = 0; empty if they agree.

    Args:
        done: finished cells.
        main: the main quantity of the table, if it has one.
    """
    widest = []
    for quantity in (*([main] if main else []), *_COSTS):
        groups: dict[str, list[float]] = {}
        for cell in done:
            key = shown_key(cell["key"])
            found = [quantity.value(row) for row in cell["rows"] if row["strength"] == 0]
            group = ", ".join(text for part, text in key.items() if part in _SAME)
            groups.setdefault(group, []).extend(x for x in found if x is not None)
        ends = {group: (min(of), max(of)) for group, of in groups.items() if of}
        apart = {g: high - low for g, (low, high) in ends.items() if high - low > _EQUAL * high}
        if apart:
            group = max(apart, key=apart.__getitem__)
            low, high = map(quantity.shown, ends[group])
            widest.append(f"{quantity.name} {low} to {high}{f' ({group})' if group else ''}")
    if not widest:
        return ""
    return (
        "At λ = 0, where no map acts, lines of one model differ: they were not measured under "
        f"equal conditions. The widest ranges are {', '.join(widest)}."
    )


def _name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper()


@cache
def _processor() -> str:
    """Return the model of the CPU; on Linux `platform` does not know it."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
