"""Processor time of one training step by kind of operation.

    python -m benchmarks.profile

The step is that of `learn` with its defaults. Shares are of the processor time that torch's
profiler reports, and add up to 100%.
"""

from __future__ import annotations

from collections import Counter

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.step import CASES
from lineas_core import LearnConfig, PromptSet, learn_iter, load_model
from lineas_core.tables.workbench import PROMPTS

_WARM_UP, _STEPS = 2, 3
_KINDS = {  # kind -> prefixes of the names of torch's operations
    "matrix products and convolutions": ("mm", "bmm", "addmm", "baddbmm", "mkldnn_conv", "conv"),
    "attention": ("_scaled_dot", "_softmax", "_flash", "_efficient"),
    "norms": ("native_layer_norm", "native_group_norm", "rsqrt", "pow", "mean"),
    "activations": ("silu", "gelu", "sigmoid"),
    "sorting": ("sort", "topk", "gather", "argsort"),
    "casts and copies": ("copy_", "_to_copy", "clone", "contiguous", "cat", "fill_", "zero_"),
}
_REST = "elementwise and the rest"


def main() -> None:
    """Print a line for each embedded model."""
    print(f"{torch.get_num_threads()} threads, torch {torch.__version__}\n")
    print("| model | seconds a step | " + " | ".join([*_KINDS, _REST]) + " |")
    print("|---" * (len(_KINDS) + 3) + "|")
    for name, prompts, *_ in CASES:
        seconds, shares = profiled(name, prompts)
        cells = " | ".join(f"{shares[kind]:.1%}" for kind in [*_KINDS, _REST])
        print(f"| {name} | {seconds:.2f} | {cells} |", flush=True)


def profiled(name: str, prompts: str) -> tuple[float, dict[str, float]]:
    """Measure the processor seconds of a step, and the share of each kind of operation.

    Args:
        name: name of an embedded model.
        prompts: name of a shipped prompt set, without its extension.
    """
    model, data = load_model(name), PromptSet.load(PROMPTS / f"{prompts}.json")
    config = LearnConfig(iterations=_WARM_UP + _STEPS)
    run = learn_iter(model, data.source, data.target, config=config)
    for _ in range(_WARM_UP):
        next(run)
    with profile(activities=[ProfilerActivity.CPU]) as watched:
        for _ in run:
            pass
    spent: Counter[str] = Counter()
    for event in watched.key_averages():
        spent[_kind(event.key)] += event.self_cpu_time_total
    total = spent.total()
    return total / 1e6 / _STEPS, {kind: spent[kind] / total for kind in [*_KINDS, _REST]}


def _kind(operation: str) -> str:
    bare = operation.removeprefix("aten::")
    return next((k for k, starts in _KINDS.items() if bare.startswith(starts)), _REST)


if __name__ == "__main__":
    main()
