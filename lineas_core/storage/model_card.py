"""Descriptions of a learnt map for people and other tools: model card and ModelSpec metadata."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lineas_core.models import LanguageModel, TextToImageModel
from lineas_core.models.catalog import MODELS, ModelEntry
from lineas_core.models.repositories import HubPlace
from lineas_core.models.sources import auto_class

__all__ = ["base_model", "checkpoint_card", "model_card", "modelspec"]

_NOTE = (
    "Learnt with LinEAS Studio. Strength 0 is the original model, 1 applies the map in full; "
    "negative strengths {}."
)
_USE = """## Use

```python
from lineas_core import load_maps, load_model, steer

model = load_model({model})
with steer(model.network, load_maps({place}), strength={strength:g}):
    {result}
```

    lineas generate {prompt} --map {shell}:{strength:g}"""
_RESULTS = {
    "language": "print(model.generate([{prompt}], seeds=[0])[0])",
    "text-to-image": 'model.generate([{prompt}], seeds=[0])[0].save("picture.png")',
}
_EXAMPLES = {"language": "Once upon a time", "text-to-image": "a castle by a lake"}
_PIPELINES = {"language": "text-generation", "text-to-image": "text-to-image"}
# Identifiers of the hub, which rejects any other word but `other`.
_LICENCES = (
    *("apache-2.0", "mit", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "unlicense", "gemma"),
    *("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0"),
    *("openrail", "openrail++", "creativeml-openrail-m", "llama2", "llama3"),
)
# The methods as their papers write them, by the name that maps remember.
_METHODS = {
    "lineas": "LinEAS",
    "lin-act": "Lin-AcT",
    "mean-act": "Mean-AcT",
    "iti-c": "ITI-C",
    "caa": "CAA",
    "caa-mid": "CAA at one module",
    "aura": "AURA",
    "reft": "ReFT",
    "lofit-rl": "LoFIT-RL",
    "lrtc-rl": "LRTC-RL",
}
_LOAD_TEXTS = """from transformers import {kind}, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("FOLDER")
model = {kind}.from_pretrained("FOLDER")"""
_LOAD_PICTURES = """from diffusers import {kind}

{part} = {kind}.from_pretrained("FOLDER")
pipeline.{part} = {part}  # in a pipeline of the base model"""


def model_card(
    config: Mapping[str, Any], place: object = "FOLDER", pictures: Sequence[str] = ()
) -> str:
    """Write the README of a map: front matter for the hub, then key facts and how to load it.

    Args:
        config: the metadata as saved, see `lineas_core.storage.maps`.
        place: what `load_maps` takes in the snippets.
        pictures: paths of the previews within the folder, from strength -1 to 1.

    Returns:
        Markdown text.
    """
    model, title = str(config.get("model", "unknown")), config.get("title") or "Steering map"
    method = config.get("method")
    facts = {
        "Base model": model,
        "Method": _METHODS.get(str(method), method),
        "Modules steered": len(config["modules"]),
        "Prompts": f"{config.get('source_size')} source, {config.get('target_size')} target",
        "Iterations": config.get("iteration"),
        "Held-out distance before": config.get("heldout_start"),
        "Held-out distance after": config.get("heldout"),
        "Licence": _licence_of(config),
    }
    lines = [*_front_matter(_front(config, pictures)), f"# {title}", ""]
    lines += [str(config.get("description", "")), ""]
    lines += [f"- {k}: {v}" for k, v in facts.items() if v is not None]
    reading = [low["input"] for low in config.get("low_rank", {}).values()]
    below = "subtract what it adds" if any(reading) else "apply its inverse"
    lines += ["", _NOTE.format(below), ""]
    if pictures:
        lines += ["From strength -1 on the left, through 0, to 1 on the right:", ""]
        lines += ["".join(f"![strength {at:+g}]({p})" for p, at in _numbered(pictures)), ""]
    return "\n".join([*lines, *_use(config, str(place))])


def _front(config: Mapping[str, Any], pictures: Sequence[str]) -> dict[str, Any]:
    """Return the front matter by which the hub lists a map and shows a widget."""
    model = str(config.get("model"))
    base, entry, kind = base_model(model), MODELS.get(model), _kind(config)
    shown = [{"text": f"strength {at:+g}", "output": {"url": p}} for p, at in _numbered(pictures)]
    return {
        "base_model": base,
        "base_model_relation": "adapter" if base else None,
        "library_name": "lineas",
        "pipeline_tag": _PIPELINES.get(kind),
        "tags": ["lineas", "activation-steering"],
        **_licence(config.get("license") or (entry and entry.license), entry),
        "widget": shown or ([{"text": _EXAMPLES[kind]}] if kind in _EXAMPLES else None),
    }


def base_model(model: str) -> str | None:
    """Return the repository of a model on the hub; None if it has none.

    Args:
        model: catalog name, hub id or folder.
    """
    if entry := MODELS.get(model):
        return entry.hub_id or entry.origin
    place = HubPlace.parse(model)
    return place.repository if place and not Path(model).is_dir() else None


def _licence(name: Any, entry: ModelEntry | None) -> dict[str, Any]:
    """Return a licence as the hub reads it."""
    if not name:
        return {}
    if (known := str(name).lower()) in _LICENCES:
        return {"license": known}
    link = entry.license_url if entry and name == entry.license else None
    slug = re.sub(r"[^a-z0-9.]+", "-", known).strip("-")
    return {"license": "other", "license_name": slug, "license_link": link}


def _licence_of(config: Mapping[str, Any]) -> str | None:
    """Return the sentence on the licence."""
    entry = MODELS.get(str(config.get("model")))
    if not config.get("license") and entry:
        return f"that of the base model, {entry.license} ({entry.license_url})"
    return config.get("license")


def _use(config: Mapping[str, Any], place: str) -> list[str]:
    """Return how to load and use a map; nothing for one of an unknown kind."""
    kind, model = _kind(config), config.get("model")
    if kind not in _EXAMPLES or not model:
        return []
    prompt, strength = _EXAMPLES[kind], config.get("strength")
    text = _USE.format(
        model=json.dumps(str(model)),
        place=json.dumps(place),
        shell=shlex.quote(place),
        strength=strength if isinstance(strength, int | float) else 1.0,  # it may be imported
        prompt=json.dumps(prompt),
        result=_RESULTS[kind].format(prompt=json.dumps(prompt)),
    )
    return [text, ""]


def _kind(config: Mapping[str, Any]) -> str:
    """Return the kind of the model; early versions did not save it."""
    entry = MODELS.get(str(config.get("model")))
    return str(config.get("kind") or (entry and entry.kind))


def _numbered(pictures: Sequence[str]) -> Iterator[tuple[str, float]]:
    """Return pictures with their strengths, which are spread evenly from -1 to 1."""
    for number, path in enumerate(pictures):
        yield path, -1 + 2 * number / max(1, len(pictures) - 1)


def _front_matter(front: Mapping[str, Any]) -> list[str]:
    return ["---", *(f"{k}: {json.dumps(v)}" for k, v in front.items() if v), "---", ""]


def checkpoint_card(
    maps: Sequence[Mapping[str, Any]],
    strengths: Sequence[float],
    model: LanguageModel | TextToImageModel,
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
    texts, entry = isinstance(model, LanguageModel), MODELS.get(model.name)
    base = base_model(model.name) or Path(model.name).name
    licence = f"{entry.license} ({entry.license_url})" if entry else "see the base model"
    front = {
        "base_model": base_model(model.name),
        "base_model_relation": "finetune",
        "library_name": "transformers" if texts else "diffusers",
        "pipeline_tag": "text-generation" if texts else "text-to-image",
        "tags": ["lineas", "activation-steering"],
        **(_licence(entry.license, entry) if entry else {"license": "other"}),
    }
    titles = [str(facts.get("title") or "Steering map") for facts in maps]
    lines = [*_front_matter(front), f"# {base}, steered: {', '.join(titles)}", ""]
    lines += [f"The weights of {base} with steering maps folded into them by LinEAS Studio.", ""]
    for title, facts, strength in zip(titles, maps, strengths, strict=True):
        own = facts.get("license") or "that of the base model"
        lines.append(f"- {title}: strength λ = {strength:g}, licence of the map: {own}")
    lines += [f"- Licence of the base model: {licence}"]
    lines += [f"- Compared with steering by hooks: {proof}", "", "```python"]
    return "\n".join([*lines, _loading(model), "```", ""])


def _loading(model: LanguageModel | TextToImageModel) -> str:
    """Return the lines that load a folder with its weights."""
    if isinstance(model, LanguageModel):
        return _LOAD_TEXTS.format(kind=auto_class(model.network.config).__name__)
    return _LOAD_PICTURES.format(kind=type(model.network).__name__, part=model.denoiser)


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
