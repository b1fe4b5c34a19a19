"""Descriptions of a learnt map for people and other tools: model card and ModelSpec metadata."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["model_card", "modelspec"]

_NOTE = (
    "Learnt with LinEAS Studio. Strength 0 is the original model, 1 applies the map in full; "
    "negative strengths {}."
)


def model_card(config: dict[str, Any]) -> str:
    """Write the README of a map: front matter for the hub, then its key facts.

    Args:
        config: the metadata as saved, see `lineas_core.storage.maps`.

    Returns:
        Markdown text.
    """
    model, title = config.get("model", "unknown"), config.get("title") or "Steering map"
    front = {
        "base_model": model,
        "base_model_relation": "adapter",
        "tags": ["lineas", "activation-steering"],
        "license": config.get("license"),
    }
    facts = {
        "Base model": model,
        "Method": config.get("method"),
        "Modules steered": len(config["modules"]),
        "Prompts": f"{config.get('source_size')} source, {config.get('target_size')} target",
        "Iterations": config.get("iteration"),
        "Held-out distance before": config.get("heldout_start"),
        "Held-out distance after": config.get("heldout"),
    }
    lines = ["---", *(f"{k}: {json.dumps(v)}" for k, v in front.items() if v), "---", ""]
    lines += [f"# {title}", "", str(config.get("description", "")), ""]
    lines += [f"- {k}: {v}" for k, v in facts.items() if v is not None]
    reading = [low["input"] for low in config.get("low_rank", {}).values()]
    below = "subtract what it adds" if any(reading) else "apply its inverse"
    lines += ["", _NOTE.format(below), ""]
    return "\n".join(lines)


def modelspec(config: dict[str, Any]) -> dict[str, str]:
    """Return the metadata that other tools show (Stability AI ModelSpec 1.0.1)."""
    return {
        "modelspec.sai_model_spec": "1.0.1",
        "modelspec.architecture": f"{config.get('model', 'unknown')}/lineas",
        "modelspec.implementation": "lineas-studio",
        "modelspec.title": str(config.get("title", "")),
        "modelspec.description": str(config.get("description", "")),
        "modelspec.date": str(config.get("date", "")),
        "modelspec.license": str(config.get("license", "")),
        "modelspec.usage_hint": "strength from -1 (inverse) through 0 (original) to 1 (full)",
        "modelspec.hash_sha256": config["sha256"],
    }
