"""What a model is and needs, as HTML."""

from __future__ import annotations

from lineas_core.models import ModelDescription, title_of

from .basics import safe, warning

__all__ = ["facts", "megabytes"]

_KINDS = {"language": "language model", "text-to-image": "picture model"}


def facts(found: ModelDescription, memory: int) -> str:
    """List what a model is and needs.

    Args:
        found: the model.
        memory: bytes of memory that this machine has.
    """
    needed, there = found.memory / 1e9, memory / 1e9
    modules = f"{len(found.modules)} modules, the first is {found.modules[0]}"
    rows = {
        "Model": found.name,
        "Kind": f"{_KINDS[found.kind]}{f', {found.architecture}' if found.architecture else ''}",
        "Parameters": _count(found.parameters),
        "Licence": (found.license or "not stated") + (" (gated)" if found.gated else ""),
        "Download": f"{megabytes(found.download)} MB" if found.download else "none, already here",
        "Memory": f"at least {max(needed, 0.1):,.1f} GB; this machine has {there:,.1f} GB",
        "Steers by default": modules if found.modules else "nothing, modules have to be chosen",
    }
    items = "".join(f"<dt>{name}</dt><dd>{safe(fact)}</dd>" for name, fact in rows.items())
    large = f"{title_of(found.name)} does not fit in the memory of this machine."
    return f'<dl class="facts">{items}</dl>' + warning(large if needed > there else "")


def megabytes(size: int) -> str:
    """Format bytes as megabytes; less than one counts as one."""
    return f"{max(size / (1 << 20), 1):,.0f}"


def _count(parameters: int) -> str:
    if parameters < 1e6:
        return f"{parameters:,}"
    return (
        f"{parameters / 1e6:,.0f} million"
        if parameters < 1e9
        else f"{parameters / 1e9:.2f} billion"
    )
