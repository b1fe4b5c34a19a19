"""Select the modules to steer, by the name of a layer preset or a pattern."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from lineas_core.errors import UserError
from lineas_core.steering.blocks import by_role, count_blocks, patterns, without_towers
from lineas_core.steering.eager import children, named_modules
from lineas_core.steering.hooks import record

__all__ = [
    "LATE",
    "PRESETS",
    "check_ran",
    "expected_modules",
    "find_default",
    "find_modules",
    "last_third",
]

LATE = "late-"
"""Before a preset or a pattern: the last third of the modules that it selects."""

PRESETS = {
    "post-layernorms": r".*post.*layernorm",
    "attention-output": r".*o_proj",
    "all-layernorms": r".*layernorm",
    "all-norms": r"(.*\.)?(norm\d?|conv_norm_out)",
    "feed-forward": r".*\.ff\.net\.2",
    "attention-qk": r".*\.attn\d\.to_[qk]",
    "attention-v": r".*\.attn\d\.to_v",
    "proj-in": r".*\.proj_in",
    "resnet-norms": r".*resnets\.\d+\.norm\d",
    "transformer-norms": r".*(norm\d(_context)?|norm\.norm|(img|txt)_norm\d|"
    r"(attention|ffn)_norm\d)",
}
"""Layer preset -> regular expression for whole module names.

The first three are for language models (LinEAS, section 4.1 and Table 9), the last for diffusion
transformers, the others for UNets (Table 3). `ff.net.2` is the last layer of a FeedForward block,
so its output is that of the block.
"""


def find_modules(network: nn.Module, preset: str) -> list[str]:
    """Return the names of the modules that a preset or pattern selects, in the network's order.

    Args:
        network: the network to search.
        preset: a name from `PRESETS`, or a regular expression that matches whole dotted names,
            such as `.*o_proj`. Modules with children are selected only if no leaf matches. Where
            the names of a preset miss blocks of a language model, the modules of that role are
            found by the structure of its blocks. `late-` before either, as in
            `late-attention-output`, keeps the last third of these modules.

    Raises:
        UserError: the pattern is not a regular expression, or matches nothing; the message
            names the closest matches.
    """
    if preset.startswith(LATE):
        return last_third(find_modules(network, preset.removeprefix(LATE)))
    modules = dict(named_modules(network))
    leaves = [name for name, module in modules.items() if not any(children(module))]
    try:
        pattern = re.compile(PRESETS.get(preset, preset))
    except re.error as error:
        raise UserError(
            "E_MODULES",
            f"the module pattern {preset!r} is not a regular expression ({error})",
            remedy=f"Use one of the presets {', '.join(PRESETS)}, or correct the pattern.",
        ) from error
    names = [name for name in leaves if pattern.fullmatch(name)]
    roles = by_role(network, preset)
    if count_blocks(network, roles) > count_blocks(network, names):
        names = roles
    names = names or [name for name in modules if name and pattern.fullmatch(name)]
    if not names:
        raise UserError(
            "E_MODULES",
            f"no module of this network matches {preset!r}",
            remedy=f"The closest are {_closest(network, preset)}; choose with `--modules`.",
        )
    return without_towers(network, names)


def last_third(names: list[str]) -> list[str]:
    """Return the last third of a list of names, rounded up."""
    return names[2 * len(names) // 3 :]


def check_ran(wanted: Sequence[str], ran: Collection[str], default: Collection[str]) -> None:
    """Check that a pass of the network has run the modules that were asked for.

    Args:
        wanted: names of the modules.
        ran: names of those that ran.
        default: modules that nobody asked for by name; some of them may run for few prompts only,
            as in a mixture of experts.

    Raises:
        UserError: others have not run, or none has.
    """
    idle = [name for name in wanted if name not in ran and not (ran and name in default)]
    if idle:
        raise UserError(
            "E_MODULES",
            f"{len(idle)} of {len(wanted)} modules do not run in this network, such as "
            f"{', '.join(idle[:3])}",
            remedy="Leave them out, or choose other modules.",
        )


def find_default(network: Any, presets: Sequence[str]) -> list[str]:
    """Return the modules of the first preset that suits a language model.

    Args:
        network: it is run on a few tokens: some networks fold rows and tokens into one axis before
            a module, so that its activations cannot be told apart.
        presets: names from `PRESETS`, in order of preference.

    Returns:
        Names of modules that write one activation for each token; empty if no preset has them.
    """
    ids = torch.ones(2, 3, dtype=torch.long, device=network.device)
    for preset in presets:
        with suppress(UserError):
            names = find_modules(network, preset)
            with torch.no_grad(), record(network, names) as activations:
                network(ids, use_cache=False)
            if all(n in activations and activations[n].shape[:2] == ids.shape for n in names):
                return names
    return []


def expected_modules(network: nn.Module, presets: Sequence[str]) -> list[str]:
    """Return the modules of the first preset that matches, without running the network.

    On the meta device this is what `find_default` returns with weights, for all architectures in
    docs/models.md but two: OPT folds rows and tokens into one axis, and TrOCR has norms that do
    not run when it reads a text alone.

    Args:
        network: a language model.
        presets: as in `find_default`.
    """
    found: list[str] = []
    for preset in presets:
        with suppress(UserError):
            names = find_modules(network, preset)
            if count_blocks(network, names):  # else they lie in a tower for pictures
                return names
            found = found or names
    return found


def _closest(network: nn.Module, preset: str) -> str:
    """Name presets and patterns of a network that fit, those closest to what was asked for."""
    leaves = [name for name, module in named_modules(network) if not any(children(module))]
    fitting = [
        name
        for name, pattern in PRESETS.items()
        if any(re.fullmatch(pattern, leaf) for leaf in leaves) or by_role(network, name)
    ]
    repeated = patterns(network)
    known = [] if preset in PRESETS else [*fitting, *repeated, *leaves]
    close = difflib.get_close_matches(preset, known, n=3, cutoff=0.3)
    close = close or (fitting + repeated)[:3]
    close = close or difflib.get_close_matches(preset, leaves, n=3, cutoff=0.0)
    return ", ".join(close)
