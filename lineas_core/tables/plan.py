"""What computing a table needs, before anything is loaded: models, disk, memory, hours, data.

All of it is written down here or in the catalog; neither network nor GPU is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lineas_core.metrics.clip_score import CLIP
from lineas_core.metrics.dinov2 import DINOV2
from lineas_core.metrics.roberta_toxicity import ROBERTA
from lineas_core.models.catalog import MODELS, ModelEntry
from lineas_core.tables.cells import Cell
from lineas_core.tables.sources import SOURCES
from lineas_core.tables.table import Table, cells_wanted

__all__ = ["plan"]


@dataclass(frozen=True)
class _Judge:
    """A judge from the hub; it computes in float32."""

    license: str
    parameters: float
    download_gb: float

    @property
    def memory_gb(self) -> float:
        """Memory of the weights."""
        return 4 * self.parameters


_JUDGES = {
    ROBERTA: _Judge("OpenRAIL++", 0.125, 0.5),
    CLIP: _Judge("MIT", 0.150, 0.6),
    DINOV2: _Judge("Apache-2.0", 0.022, 0.1),
}
_GATED = ("gemma-2-2b",)
_SEVEN_BILLION = {"lineas": 500, "iti-c": 37, "lin-act": 22, "reft": 100, "lofit-rl": 27300}
_LEARNING = {  # seconds on an A100; LinEAS, Tables 4 and 5
    "gemma-2-2b": {"lineas": 430, "iti-c": 29, "lin-act": 17, "reft": 92, "lofit-rl": 7600},
    "qwen2.5-1.5b": {"lineas": 340, "iti-c": 30, "lin-act": 14, "reft": 80, "lofit-rl": 25900},
    "qwen2.5-7b": _SEVEN_BILLION,
    "deepseek-7b": _SEVEN_BILLION,  # is not in them
    "dmd2": {"lineas": 1767, "iti-c": 1604, "lin-act": 1553},
}
_AS = {"lrtc-rl": "lofit-rl"}
# Measured at full size (benchmarks/README.md) with the models that are used. A picture of DMD2
# takes 17.3 TFLOP, 10.5 of them in the decoder: 1300 times those of emoji-world, which has a
# hundredth of the parameters. A token of a text waits for Python, so that texts of Qwen2.5-7B
# (0.87 s) take no longer than those of Gemma 2 2B (1.18 s).
_SECONDS = {"texts": 1.2 / 32, "pictures": 0.3}
_SECONDS_OF_A_PASS = {"answers": 0.05, "sentences": 0.003}  # with a model of this size:
_PARAMETERS = 2.6  # billions
_BASIS = (
    "Hours are calculated, not measured: learning as in the paper's Tables 4 and 5 on an A100 "
    "(DeepSeek-7B as Qwen2.5-7B, LRTC-RL as LoFIT-RL, other methods that are not in them as "
    "Lin-AcT, and LinEAS from 1024 prompts ten times as long), generation as measured on an H200 "
    "with random weights, 1.2 s for 32 texts of 40 tokens and 0.3 s for a picture, and 0.05 s for "
    "each answer, paragraph or question whose probability is computed and 0.003 s for each "
    "sentence. What is only read, not generated, grows with the parameters of a model above 2.6 "
    "billion. Downloads and judges come on top."
)


def plan(table: Table, edition: str, only: Mapping[str, Collection[str]]) -> str:
    """Describe what computing the cells of a table needs.

    Args:
        table: the table.
        edition: `small` or `paper`.
        only: as in `lineas_core.tables.make`.

    Returns:
        Lines of text: each model and judge with hub id, licence, billions of parameters, memory
        and download; the data sets; the number of cells; and for the paper's edition the hours.

    Raises:
        UserError: no cell has a wanted key.
    """
    cells, needs = cells_wanted(table, edition, only), table.needs(edition)
    names = dict.fromkeys([*(c.key["model"] for c in cells if "model" in c.key), *needs.models])
    lines = [f"{table.title}, {edition} edition: {len(cells)} cells", ""]
    lines += [_describe(name) for name in names]
    lines += ["", *map(_describe_data, needs.data)] if needs.data else []
    total = sum(facts.download_gb for facts in map(_facts, names))
    total += sum(SOURCES[name].megabytes for name in needs.data) / 1000
    lines += [
        "",
        f"Download: {total:.1f} GB, once" if total else "Nothing is downloaded from the hub.",
    ]
    if edition == "paper":
        hours = sum(_seconds(table, edition, cell) for cell in cells) / 3600
        lines += [f"Time: about {max(hours, 0.1):.1f} hours on a GPU", "", _BASIS]
    return "\n".join(lines)


def _describe(name: str) -> str:
    """Return the line of a model or judge."""
    facts, source = _facts(name), _source(name)
    terms = ", gated: accept its terms on the hub" if _catalog_name(name) in _GATED else ""
    size = f"{facts.download_gb:g} GB to download" if facts.download_gb else "no download"
    if isinstance(facts, ModelEntry) and facts.embedded:
        size = f"{facts.embedded.download_mb} MB to install with `lineas fetch {name}`"
    return (
        f"- {source} ({facts.license}{terms}): {facts.parameters:g} billion parameters, "
        f"{facts.memory_gb:g} GB of memory, {size}"
    )


def _describe_data(name: str) -> str:
    """Return the line of a data set."""
    source = SOURCES[name]
    note = f"; {source.note}" if source.note else ""
    return f"- data set {name} ({source.terms}): {source.megabytes:g} MB to download{note}"


def _facts(name: str) -> ModelEntry | _Judge:
    return _JUDGES[name] if name in _JUDGES else MODELS[_catalog_name(name)]


def _source(name: str) -> str:
    """Return the repositories of a model, or its name if it has none."""
    if name in _JUDGES:
        return name
    entry = MODELS[_catalog_name(name)]
    unet = entry.painting.unet if entry.painting else None
    return " with ".join([entry.hub_id or name, *([unet[0]] if unet else [])])


def _catalog_name(name: str) -> str:
    """Return the key in `MODELS` of a catalog name or hub id."""
    by_id = {entry.hub_id: key for key, entry in reversed(MODELS.items()) if entry.hub_id}
    return name if name in MODELS or name in _JUDGES else by_id[name]


def _seconds(table: Table, edition: str, cell: Cell) -> float:
    """Estimate the seconds of a cell."""
    needs = table.needs(edition)
    names = [_catalog_name(n) for n in (cell.key.get("model", ""), *needs.models) if n]
    times = next(_LEARNING[name] for name in names if name in _LEARNING)
    method, _, variant = cell.key.get("method", "lineas").partition(", ")
    each = 0 if method == "prompting" else times.get(_AS.get(method, method), times["lin-act"])
    longer = 10 if (method, variant) == ("lineas", "1024 prompts") else 1
    size = max(1.0, _facts(names[0]).parameters / _PARAMETERS)
    made, passes = (
        sum(getattr(needs, what) * seconds for what, seconds in table.items())
        for table in (_SECONDS, _SECONDS_OF_A_PASS)
    )
    return needs.maps * each * longer + made + passes * size
