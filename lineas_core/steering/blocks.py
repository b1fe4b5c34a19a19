"""Find the blocks of a language model and the parts of a block by structure.

Families name their layers differently, but their blocks are alike: a `ModuleList` of modules that
have a norm, mix the positions of a text (attention, a convolution, a recurrence), and go on with
further norms and an MLP.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from statistics import mode
from typing import Any

from torch import nn

from lineas_core.steering.eager import children, inside, named_modules

__all__ = ["by_role", "count_blocks", "patterns", "without_towers"]

_TOWERS = re.compile("vision|visual|image|audio|speech|multi_?modal|connector")
_OUTPUT = re.compile(r"(^|[._])(o_[^.]*|out_proj|out|output)$")


def by_role(network: nn.Module, preset: str) -> list[str]:
    """Return the modules that play the role of a layer preset of language models in each block.

    Args:
        network: the network to search.
        preset: `post-layernorms`, the norms after the first of a block; `all-layernorms`, all of
            its norms; `attention-output`, the last linear layer of what mixes positions.

    Returns:
        Dotted names in the network's order; empty for other presets, and if the network is no
        language model or its blocks have no such part.
    """
    find = {
        "post-layernorms": lambda block: _norms(block)[1:],
        "all-layernorms": _norms,
        "attention-output": _mixer_output,
    }.get(preset)
    name = _blocks(network)
    if find is None or not name:
        return []
    names = []
    blocks = children(network.get_submodule(name))
    last = {type(block): block for block in blocks}
    for number, block in enumerate(blocks):
        # The first block of some families has a norm more or less than all that follow.
        usual, kinds = last[type(block)], {n: type(m) for n, m in named_modules(block)}
        parts = [n for n in find(usual) if kinds.get(n) is type(usual.get_submodule(n))]
        names += [f"{name}.{number}.{part}" for part in parts or find(block)]
    return names


def count_blocks(network: nn.Module, names: Sequence[str]) -> int:
    """Count the blocks of a language model that contain any of the named modules."""
    depth, start = (name := _blocks(network)).count(".") + 1, f"{name}."
    return len({n.split(".")[depth] for n in names if name and n.startswith(start)})


def without_towers(network: Any, names: list[str]) -> list[str]:
    """Leave out modules of a multimodal network that do not run when it reads a text.

    Args:
        network: the network in which the names resolve.
        names: dotted module names.

    Returns:
        The names outside of its towers for images or sounds; all if there are only such.
    """
    if not (main := _blocks(network)):
        return names
    config = network.config
    composite = config.get_text_config() is not config
    towers = []
    for other in _block_lists(network):
        if other != main and (composite or _TOWERS.search(other)):
            paths = [path.split(".") for path in (main, other)]
            shared = len(os.path.commonprefix(paths))
            towers.append(".".join([*paths[1][: shared + 1], ""]))
    start = f"{main}."
    kept = [
        name
        for name in names
        if not name.startswith(tuple(towers))
        and (name.startswith(start) or not (composite and _TOWERS.search(name)))
    ]
    return kept or names


def patterns(network: nn.Module) -> list[str]:
    r"""Return regular expressions for the parts that repeat in the blocks, those of roles first.

    Each matches one leaf in every block that has it, such as `model\.layers\.\d+\.ln_2`.
    """
    roles = [by_role(network, role) for role in ("post-layernorms", "attention-output")]
    start = f"{_blocks(network)}."
    leaves = [name for name, module in named_modules(network) if not any(children(module))]
    names = [*sum(roles, []), *(name for name in leaves if name.startswith(start))]
    return [*dict.fromkeys(re.sub(r"(?<=\\\.)\d+", r"\\d+", re.escape(name)) for name in names)]


def _block_lists(network: nn.Module) -> list[str]:
    """Return the names of the lists of blocks that do not lie in a block themselves."""
    found: list[str] = []
    for name, module in named_modules(network):
        inner = not isinstance(module, nn.ModuleList) or name.startswith(tuple(found))
        if not inner and len(module) and all(any(children(block)) for block in children(module)):
            found.append(name)
    return found


def _blocks(network: Any) -> str:
    """Return the name of the list of blocks that a text passes; empty if there is none."""
    if not hasattr(network, "get_decoder"):
        return ""  # no language model: blocks of other networks have other parts
    lists, decoder = _block_lists(network), network.get_decoder()
    lists = [name for name in lists if not _TOWERS.search(name)] or lists
    scopes = [f"{name}." for name, module in named_modules(network) if module is inside(decoder)]
    within = [name for name in lists if name.startswith(tuple(scopes))] or lists
    return max(within, key=lambda name: _size(network.get_submodule(name)), default="")


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def _norms(block: nn.Module) -> list[str]:
    """Return the norms of a block, without those in attention: deeper, or of another width."""
    found: dict[str, nn.Module] = {}
    for name, module in named_modules(block):
        inner = any(name.startswith(f"{outer}.") for outer in found)
        if "norm" not in type(module).__name__.lower() or inner:
            continue
        if "norm" in name or not any(children(module)):  # some norms have a gate of their own
            found[name] = module
    depth = min((name.count(".") for name in found), default=0)
    widths = {n: _norm_width(module) for n, module in found.items() if n.count(".") == depth}
    return [name for name in widths if widths[name] == mode(widths.values())]


def _mixer_output(block: nn.Module) -> list[str]:
    """Return the last linear layer of the first part of a block that has any."""
    width = next((_norm_width(block.get_submodule(name)) for name in _norms(block)), 0)
    for name, part in block.named_children():
        linear = {inner: out for inner, module in named_modules(part) if (out := _width(module))}
        if linear and any(children(part)):
            # Where the layers of the input come last, only the name tells.
            fitting = [inner for inner, out in linear.items() if width in (0, out)]
            fitting = [inner for inner in fitting if _OUTPUT.search(inner)] or fitting
            depth = min((inner.count(".") for inner in fitting), default=0)
            return [f"{name}.{inner}" for inner in fitting if inner.count(".") == depth][-1:]
    return []


def _norm_width(norm: nn.Module) -> int:
    """Return the number of coordinates of a norm; 0 if it has no parameters."""
    return next((len(parameter) for parameter in norm.parameters()), 0)


def _width(module: Any) -> int:
    """Return the number of coordinates that a linear layer writes; 0 for any other module."""
    if isinstance(module, nn.Linear):
        return module.out_features
    return int(getattr(module, "nf", 0))  # of GPT-2's Conv1D
