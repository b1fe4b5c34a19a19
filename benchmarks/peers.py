"""Speed beside other libraries that steer language models, and beside transformers' `generate`.

    python -m benchmarks peers [--quick] [--only FIT,WRITE] [--json results/peers.json]

Each ratio is a processor time of ours ÷ theirs, or of a steered pass ÷ a plain one; both sides run
on one thread and take turns. The libraries are in an environment of their own under `results/`, as
for the table `frontier`, and compute in a process of their own with the same versions of torch
and transformers. Where both sides compute the same, the results are compared first.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from benchmarks.ratio import Ratio, apart, gate, side_by_side
from benchmarks.report import report
from lineas_core import (
    AffineMap,
    FitConfig,
    PromptSet,
    SteeringMaps,
    find_modules,
    load_model,
    steer,
)
from lineas_core.methods import METHODS
from lineas_core.models.locations import locate
from lineas_core.models.sampling import Sampling, sample_tokens
from lineas_core.steering.folding import fold
from lineas_core.tables.peers import LIBRARIES, environment
from lineas_core.tables.workbench import PROMPTS, lines_of

_MODEL, _CONCEPT, _BLOCKS = "smollm2-135m", "football", r"model\.layers\.\d+"
_FOLDER = Path("results/peers")
_SIDE = Path(__file__).parent / "peers_side.py"
_STRIP = [k / 16 for k in range(-4, 5)]  # at 1 the default vectors break texts
_READ, _WRITTEN = 96, 16  # tokens
_ROWS = (1, 8, 32)
_EQUAL = 1e-4  # relative difference, in float32


class _Theirs:
    """The process of the other libraries."""

    def __init__(self) -> None:
        pairs = list(zip(_prompts().target, _prompts().source, strict=True))
        python, source = environment(_FOLDER), str(locate(_MODEL).source)
        self._process = subprocess.Popen(
            [str(python), "-I", str(_SIDE), source, json.dumps(pairs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"TQDM_DISABLE": "1", "OMP_NUM_THREADS": "1"},
        )

    def __call__(self, work: str, *arguments: Any) -> float:
        """Let it do a work; returns the seconds of processor time."""
        into, out = self._process.stdin, self._process.stdout
        if into is None or out is None:
            raise SystemExit("the process of the other libraries has no pipes")
        into.write(json.dumps([work, *arguments]) + "\n")
        into.flush()
        if not (answer := out.readline()):
            raise SystemExit(f"the other libraries' process has ended at {work} {arguments[:1]}")
        return float(answer)


_theirs = cache(_Theirs)
_model = cache(partial(load_model, _MODEL))


@cache
def _prompts() -> PromptSet:
    return PromptSet.load(PROMPTS / f"{_CONCEPT}.json")


def fits(pairs: int) -> Iterator[Ratio]:
    """Measure CAA at the last token of all blocks, beside the same and beside repeng's PCA."""
    maps = _caa()
    for batch in (1, 32):
        title = f"fit CAA ÷ steering-vectors, batch {batch}"
        theirs = _learnt("steering-vectors")[0]
        difference = gate(title, apart(_joined(maps), _joined(theirs)), _EQUAL)
        yield _beside(title, _caa, ("fit", "steering-vectors", batch), pairs, difference)
    yield _beside("fit CAA ÷ repeng, another direction", _caa, ("fit", "repeng", 32), pairs)


def writing(pairs: int) -> Iterator[Ratio]:
    """Measure our sampling loop beside `generate`, and nine strengths in one batch beside nine."""
    for rows in _ROWS:
        title = f"our sampling loop ÷ transformers generate, batch {rows}"
        difference = gate(title, apart(_ours(rows, 0).float(), _generate(rows, 0).float()), 0)
        yield _timed(
            title, partial(_ours, rows, 1), partial(_generate, rows, 1), pairs, difference
        )
    maps, ids = _learnt("steering-vectors")[0], _ids()[:8]
    title = "nine strengths in one batch ÷ steering-vectors one by one"
    with TemporaryDirectory() as folder:
        request = ("strip", _STRIP, ids, _WRITTEN, f"{folder}/tokens.safetensors")
        _theirs()(*request)
        wanted = load_file(request[-1])["tokens"]
        difference = gate(title, (_strip(maps, ids) != wanted).float().mean().item(), 0)
        yield _beside(title, partial(_strip, maps, ids), request, pairs, difference)


def reading(pairs: int) -> Iterator[Ratio]:
    """Measure a steered pass ÷ a plain one, of each library and of ours."""
    network, ids = _model().network, torch.tensor([_ids()])
    plain = torch.no_grad()(partial(network, ids))
    for library in LIBRARIES:
        maps, logits = _learnt(library)
        with torch.no_grad(), steer(network, maps):
            difference = gate(library, apart(network(ids).logits, logits), _EQUAL)
        steered, none = (partial(_theirs(), "read", name, _ids()) for name in (library, ""))
        title = f"a text read steered ÷ plain, {library}"
        yield side_by_side(
            title, steered, none, pairs=pairs, difference=difference, seconds=_given
        )
    own = METHODS["caa"].learn(_model(), _prompts().source, _prompts().target)
    for name, way in (("hooks", steer), ("folded", fold)):

        def steered_pass(way: Callable = way) -> None:
            with way(network, own, 1.0):
                plain()

        yield _timed(f"a text read steered ÷ plain, ours, {name}", steered_pass, plain, pairs, 0.0)


def _caa() -> SteeringMaps:
    config, data = FitConfig(pooling="last"), _prompts()
    return METHODS["caa"].learn(
        _model(), data.source, data.target, config=config, modules=_blocks()
    )


@cache
def _blocks() -> list[str]:
    return find_modules(_model().network, _BLOCKS)


@cache
def _learnt(library: str) -> tuple[SteeringMaps, Tensor]:
    """The maps of a library, and its own steered logits of the text."""
    with TemporaryDirectory() as folder:
        file = f"{folder}/vectors.safetensors"
        _theirs()("learn", library, _blocks(), _ids(), file)
        tensors = load_file(file)
    logits = tensors.pop("logits")
    names = [name for name in _blocks() if name in tensors]
    maps = {name: AffineMap(torch.ones_like(tensors[name]), tensors[name]) for name in names}
    return SteeringMaps(maps), logits


def _joined(maps: SteeringMaps) -> Tensor:
    return torch.cat([step.shift for step in maps.affine.values()])


@cache
def _ids() -> list[int]:
    text = " ".join(lines_of("neutral-openings.txt"))
    return _model().tokenizer(text)["input_ids"][:_READ]


@torch.no_grad()
def _ours(rows: int, temperature: float) -> Tensor:
    """Continue openings with our loop, (n, t)."""
    network, tokenizer = _never_ending()
    sampling = Sampling(_WRITTEN, temperature=temperature)
    *_, new = sample_tokens(network, tokenizer, _openings(rows), range(rows), sampling)
    return new


@torch.no_grad()
def _generate(rows: int, temperature: float) -> Tensor:
    """Continue the same with transformers, (n, t)."""
    network: Any = _never_ending()[0]
    tokens = _openings(rows)
    settings = {"do_sample": True, "top_k": 50} if temperature else {"do_sample": False}
    new = network.generate(**tokens, max_new_tokens=_WRITTEN, pad_token_id=0, **settings)
    return new[:, tokens["input_ids"].shape[1] :]


@torch.no_grad()
def _strip(maps: SteeringMaps, ids: list[int]) -> Tensor:
    """Continue a text at nine strengths in one batch, with the most likely tokens, (9, t)."""
    network, tokenizer = _never_ending()
    start = torch.tensor([ids] * len(_STRIP))
    tokens = {"input_ids": start, "attention_mask": torch.ones_like(start)}
    with steer(network, maps, _STRIP):
        sampling = Sampling(_WRITTEN, temperature=0)
        *_, new = sample_tokens(network, tokenizer, tokens, [0] * len(start), sampling)
    return new


@cache
def _never_ending() -> tuple[Any, Any]:
    """A network and a tokenizer without a token that ends a text."""
    model = _model().twin()
    model.network.generation_config.eos_token_id = None
    model.tokenizer.eos_token = None
    return model.network, model.tokenizer


@cache
def _openings(rows: int) -> dict[str, Tensor]:
    openings = lines_of("neutral-openings.txt")
    texts = [openings[k % len(openings)] for k in range(rows)]
    tokens = _model().tokenizer(texts, padding=True, padding_side="left", return_tensors="pt")
    return {name: tokens[name] for name in ("input_ids", "attention_mask")}


def _beside(
    title: str,
    ours: Callable[[], object],
    request: Sequence[Any],
    pairs: int,
    difference: float = float("nan"),
) -> Ratio:
    """Time ours beside a request to the other process."""
    other, own = partial(_processor_time, ours), partial(_theirs(), *request)
    return side_by_side(title, other, own, pairs=pairs, difference=difference, seconds=_given)


def _timed(
    title: str,
    other: Callable[[], object],
    own: Callable[[], object],
    pairs: int,
    difference: float,
) -> Ratio:
    return side_by_side(
        title, other, own, pairs=pairs, difference=difference, seconds=_processor_time
    )


def _processor_time(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _given(work: Callable[[], float]) -> float:
    """The seconds that a work itself returns."""
    return work()


def main() -> None:
    """Print each ratio as soon as it has been measured."""
    torch.set_num_threads(1)
    report(
        str(__doc__).split("\n")[0],
        {"FIT": fits, "WRITE": writing, "READ": reading},
        ["ratio", "measured", "95%", "seconds of both", "difference"],
        _line,
        Ratio.row,
        file="results/peers.json",
    )


def _line(made: Ratio) -> str:
    return (
        f"| {made.name} | {made.ratio:.3g} | {made.low:.3g} to {made.high:.3g} "
        f"| {made.other:.3g} and {made.own:.3g} | {made.difference:.0e} |"
    )


if __name__ == "__main__":
    main()
