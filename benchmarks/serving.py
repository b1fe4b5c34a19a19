"""Throughput of the endpoint's batch, with users who each have a strength of their own.

    python -m benchmarks.serving [--quick]

Every user continues a prompt by the same number of tokens. Each ratio is a time of the other way
÷ ours for the same texts: the users one after another through the same engine, and one batch of
transformers' `generate`, which no map steers and which no row can join or leave.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, partial
from typing import Any

import torch

from benchmarks.ratio import Ratio, side_by_side
from benchmarks.report import report
from lineas_core import compose, load_maps, load_model
from lineas_core.models import Sampling
from lineas_core.serving.engine import Engine
from lineas_core.serving.group import Request
from lineas_core.tables.workbench import lines_of

_MODEL, _MAP = "smollm2-135m", "football-smollm2-135m"
_USERS = (1, 8, 32)
_TOKENS = 16
_WRITTEN: dict[int, list[str]] = {}  # by number of users, one after another: slow to repeat
_LEAST = {1: 0.9, 8: 2.0, 32: 4.0}  # of one after another ÷ together


def users(pairs: int) -> Iterator[Ratio]:
    """Measure 1, 8 and 32 users."""
    for count in _USERS:
        requests = _requests(count)
        together, one_by_one = partial(_together, requests), partial(_one_by_one, requests)
        title = f"users: {count}, SmolLM2, {_TOKENS} tokens each"
        made = side_by_side(
            f"one after another ÷ in one batch, {title}",
            one_by_one,
            together,
            goal=_LEAST[count],
            least=_LEAST[count],
            pairs=pairs,
        )
        if _together(requests) != _WRITTEN[count]:
            raise SystemExit(f"{title}: a text is another one in the batch")
        yield made
        yield side_by_side(
            f"plain generate, same batch ÷ ours, {title}",
            partial(_plain, [request.tokens for request in requests]),
            together,
            goal=1.0,
            least=0.8,
            pairs=pairs,
        )


@cache
def _engine() -> Engine:
    model: Any = load_model(_MODEL)
    model.network.generation_config.eos_token_id = None  # all texts get the same length
    model.tokenizer.eos_token = None
    return Engine(model)


def _requests(count: int) -> list[Request]:
    """Return the requests of users with different prompts, strengths and seeds."""
    maps, encode = load_maps(_MAP), _engine().model.tokenizer
    openings = lines_of("neutral-openings.txt")
    return [
        Request(
            encode(openings[k % len(openings)])["input_ids"],
            compose([maps], [k / max(count - 1, 1) * 2 - 1]),
            Sampling(max_new_tokens=_TOKENS),
            seed=k,
        )
        for k in range(count)
    ]


def _together(requests: Sequence[Request]) -> list[str]:
    return _engine().generate(requests)


def _one_by_one(requests: Sequence[Request]) -> None:
    texts = [text for request in requests for text in _engine().generate([request])]
    _WRITTEN[len(requests)] = texts


@torch.no_grad()
def _plain(prompts: Sequence[Sequence[int]]) -> object:
    model = _engine().model
    longest = max(map(len, prompts))
    sizes = [longest - len(prompt) for prompt in prompts]
    ids = [[0] * size + [*prompt] for size, prompt in zip(sizes, prompts, strict=True)]
    mask = [[0] * size + [1] * (longest - size) for size in sizes]
    network: Any = model.network
    return network.generate(
        torch.tensor(ids),
        attention_mask=torch.tensor(mask),
        max_new_tokens=_TOKENS,
        do_sample=True,
        top_k=50,
        pad_token_id=0,
    )


def main() -> None:
    """Print each ratio as soon as it has been measured."""
    heads = ["ratio", "measured", "95%", "tokens/s, other and ours"]
    report(
        str(__doc__).split("\n")[0],
        {"users": users},
        heads,
        _line,
        Ratio.row,
        file="results/serving.json",
    )


def _line(made: Ratio) -> str:
    count = int(made.name.split("users: ")[1].split(",")[0])
    seconds = (made.other, made.own or made.other)
    speeds = " and ".join(f"{count * _TOKENS / each:.3g}" for each in seconds)
    return f"| {made.name} | {made.ratio:.3g} | {made.low:.3g} to {made.high:.3g} | {speeds} |"


if __name__ == "__main__":
    main()
