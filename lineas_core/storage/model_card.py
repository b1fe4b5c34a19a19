"""Descriptions of a learnt map for people and other tools: model card and ModelSpec metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lineas_core.models.base import SteerableModel
from lineas_core.models.catalog import MODELS

__all__ = ["checkpoint_card", "model_card", "modelspec"]

_NOTE = (
    "Learnt with LinEAS Studio. Strength 0 is the original model, 1 applies the map in full; "
    "negative strengths {}."
)
_LOAD_TEXTS = """from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = AutoModelForCausalLM.from_pretrained("FOLDER")"""
_LOAD_PICTURES = """from diffusers import UNet2DConditionModel

unet = UNet2DConditionModel.from_pretrained("FOLDER")
pipeline.unet = unet  # in a pipeline of the base model"""


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


def checkpoint_card(
    maps: Sequence[Mapping[str, Any]],
    strengths: Sequence[float],
    model: SteerableModel,
    proof: str,
) -> str:
    """Write the README of a model with maps in its weights.

    Args:
        maps: metadata of each map.
        strengths: λ of each map.
        model: the model without them.
        proof: how exact the weights are.

    Returns:
        Markdown text.
    """
    texts, entry = model.kind == "language", MODELS.get(model.name)
    base = Path(model.name).name if Path(model.name).is_dir() else model.name
    base = (entry.hub_id if entry else None) or base
    licence = f"{entry.license} ({entry.license_url})" if entry else "see the base model"
    known = {"license_name": entry.license, "license_link": entry.license_url} if entry else {}
    front = {
        "base_model": base,
        "base_model_relation": "finetune",
        "library_name": "transformers" if texts else "diffusers",
        "pipeline_tag": "text-generation" if texts else "text-to-image",
        "tags": ["lineas", "activation-steering"],
        "license": "other",
        **known,
    }
    titles = [str(facts.get("title") or "Steering map") for facts in maps]
    lines = ["---", *(f"{k}: {json.dumps(v)}" for k, v in front.items()), "---", ""]
    lines += [f"# {base}, steered: {', '.join(titles)}", ""]
    lines += [f"The weights of {base} with steering maps folded into them by LinEAS Studio.", ""]
    for title, facts, strength in zip(titles, maps, strengths, strict=True):
        own = facts.get("license") or "that of the base model"
        lines.append(f"- {title}: strength λ = {strength:g}, licence of the map: {own}")
    lines += [f"- Licence of the base model: {licence}"]
    lines += [f"- Compared with steering by hooks: {proof}", "", "```python"]
    load = _LOAD_TEXTS if texts else _LOAD_PICTURES
    return "\n".join([*lines, load, "```", ""])


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
