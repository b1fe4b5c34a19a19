"""Whether the weights of a checkpoint are those of the network that its configuration describes.

transformers and diffusers give random values to parameters that a checkpoint lacks, and leave out
what the network has no place for; both only log it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lineas_core.errors import UserError

__all__ = ["REPORT", "check_weights"]

REPORT: dict[str, bool] = {"output_loading_info": True, "ignore_mismatched_sizes": True}
"""Options with which `from_pretrained` returns the network and what `check_weights` reads."""

_WRAPPERS = {
    "_orig_mod.": "a compiled network",
    "module.": "a network in a parallel wrapper",
    "base_model.model.": "a network in a wrapper of peft",
}
# Masks and positions, which the network computes and early versions of transformers saved.
_COMPUTED = re.compile(
    r"(^|\.)((attn|attention)\.(masked_)?bias|causal_mask|inv_freq|position_ids"
    r"|embed_positions\.weights)$"
)
_AGAIN = "Its weights and its config.json do not belong together: download both again."


def check_weights(report: Mapping[str, Any], source: str | Path, kind: str = "model") -> None:
    """Check that no parameter is missing, left over, or of another shape.

    Args:
        report: from `from_pretrained`; output layers that are tied to the embeddings are not
            among the missing ones. Left-over masks and positions count for nothing.
        source: folder or hub id.
        kind: what it is, for the error.

    Raises:
        UserError: the weights do not fit; the message names the first of them.
    """
    missing, unexpected = (sorted(report[f"{name}_keys"]) for name in ("missing", "unexpected"))
    shapes = sorted((name, tuple(a), tuple(b)) for name, a, b in report["mismatched_keys"])
    reasons = []
    if shapes:
        name, found, expected = shapes[0]
        reasons.append(f"{_count(shapes)} another shape, first {name} {found} for {expected}")
    if missing := [name for name in missing if name not in {name for name, *_ in shapes}]:
        reasons.append(f"{_count(missing)} no value in its files, first {missing[0]}")
    if unexpected := [name for name in unexpected if not _COMPUTED.search(name)]:
        reasons.append(f"{_count(unexpected)} no place in the network, first {unexpected[0]}")
    if reasons:
        what = f"the {kind} {str(source)!r} could not be loaded ({'; '.join(reasons)})"
        raise UserError("E_MODEL", what, remedy=_remedy(missing, unexpected))


def _count(names: list[Any]) -> str:
    return f"{len(names)} weight has" if len(names) == 1 else f"{len(names)} weights have"


def _remedy(missing: list[str], unexpected: list[str]) -> str:
    """Say what to do about weights that do not fit, by the names of those."""
    if any("lora_" in name for name in unexpected):
        return "It holds adapters: merge them with `merge_and_unload` of peft, and save that."
    if prefix := _prefix(missing, unexpected):
        wrapper = f" of {_WRAPPERS[prefix]}" if prefix in _WRAPPERS else ""
        return (
            f"Its names have the prefix {prefix!r}{wrapper}: save the network inside, or remove "
            "the prefix from the names."
        )
    if missing and not unexpected and all("head" in name for name in missing):
        return "It is a backbone without an output layer: choose the model that writes texts."
    return _AGAIN


def _prefix(missing: Iterable[str], unexpected: list[str]) -> str:
    """Return what the names in the files have before those of the network; empty if nothing."""
    names = set(missing)
    for name in unexpected[:8]:
        for prefix in _WRAPPERS:
            if prefix in name and name.replace(prefix, "") in names:
                return prefix
        inner = [each for each in names if name.endswith(f".{each}")]
        if inner:
            return name.removesuffix(max(inner, key=len))
    return ""
