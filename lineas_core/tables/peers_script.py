"""Learn steering vectors with another library; run by the Python of an environment that has it.

    python -I peers_script.py FOLDER

reads `job.json` in the folder and writes `vectors.safetensors` there. The job has the name of the
library, the folder or hub id of a language model, texts of both sides, the names of the modules to
steer, and a text. The file has a vector (d,) for each steered module, the token ids of that text,
and its logits when the library itself steers with the vectors at strength 1.

Each library learns by its own interface, with its defaults: steering-vectors the difference of
means at the last token, repeng the first principal component of the differences of pairs there,
of length 1. pyvene learns no direction by itself: it collects the activations, whose difference
of means over tokens is taken.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

__all__ = ["LEARN", "Learnt", "load"]

Learnt = tuple[dict[str, Tensor], Callable[[Tensor], Tensor]]
"""Module name -> vector, and a function from token ids (1, t) to the steered logits (1, t, v)."""
_REPENG_LAYERS = range(-5, -18, -1)  # as in its README


def steering_vectors(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], modules: Sequence[str]
) -> Learnt:
    """Learn with steering-vectors; `pairs` are (target, source)."""
    from steering_vectors import train_steering_vector

    kinds = [{"decoder_block": pattern} for pattern in _patterns(modules)]
    learnt = [
        train_steering_vector(model, tokenizer, list(pairs), layer_config=kind) for kind in kinds
    ]

    def steered(ids: Tensor) -> Tensor:
        with ExitStack() as stack:
            for kind, vector in zip(kinds, learnt, strict=True):
                stack.enter_context(vector.apply(model, layer_config=kind))
            return model(ids).logits

    found = {
        kind["decoder_block"].format(num=layer): shift
        for kind, vector in zip(kinds, learnt, strict=True)
        for layer, shift in vector.layer_activations.items()
    }
    return {name: found[name] for name in modules}, steered


def repeng(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], modules: Sequence[str]
) -> Learnt:
    """Learn with repeng, which steers whole blocks; those of its README, whatever `modules`."""
    from repeng import ControlModel, ControlVector, DatasetEntry

    vector = ControlVector.train(model, tokenizer, [DatasetEntry(*pair) for pair in pairs])
    count = len(modules)
    layers = sorted(count + layer for layer in _REPENG_LAYERS if count + layer > 0)

    def steered(ids: Tensor) -> Tensor:
        control = ControlModel(model, layers)
        control.set_control(vector, 1.0)
        logits = control(ids).logits
        control.unwrap()
        return logits

    return {modules[k]: torch.tensor(vector.directions[k]) for k in layers}, steered


def pyvene(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], modules: Sequence[str]
) -> Learnt:
    """Collect activations with pyvene, and steer by their difference."""
    import pyvene as pv

    for known in (pv.type_to_module_mapping, pv.type_to_dimension_mapping):
        known.setdefault(type(model), {})  # else it refuses models that it does not know by name
    places = [re.sub(r"\.(\d+)", r"[\1]", name) + ".output" for name in modules]
    collect = pv.IntervenableModel(
        [{"component": p, "intervention_type": pv.CollectIntervention} for p in places],
        model=model,
    )

    def mean(texts: Sequence[str]) -> list[Tensor]:
        rows = []
        for text in texts:
            tokens = tokenizer(text, return_tensors="pt")
            positions = list(range(1, tokens["input_ids"].shape[1]))  # without the first token
            (_, collected), _ = collect(tokens, unit_locations={"base": positions})
            rows.append(torch.stack([activation.mean(dim=(0, 1)) for activation in collected]))
        return list(torch.stack(rows).mean(dim=0))

    targets, sources = zip(*pairs, strict=True)
    shifts = [y - x for x, y in zip(mean(sources), mean(targets), strict=True)]
    add = pv.IntervenableModel(
        [
            {"component": p, "intervention": pv.AdditionIntervention(source_representation=shift)}
            for p, shift in zip(places, shifts, strict=True)
        ],
        model=model,
    )

    def steered(ids: Tensor) -> Tensor:
        positions = list(range(ids.shape[1]))
        _, output = add({"input_ids": ids}, unit_locations={"base": positions})
        return output.logits

    return dict(zip(modules, shifts, strict=True)), steered


LEARN = {"steering-vectors": steering_vectors, "repeng": repeng, "pyvene": pyvene}
"""Name of a library -> how to learn with it."""


def load(source: str) -> tuple[Any, Any]:
    """Load network and tokenizer, in float32, from a folder or the hub."""
    model = AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.float32, use_safetensors=True, trust_remote_code=False
    )
    tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return model.eval().requires_grad_(False), tokenizer


def _patterns(modules: Sequence[str]) -> list[str]:
    """The names with `{num}` in place of the number of the block, each once."""
    return list(
        dict.fromkeys(re.sub(r"\.\d+(?=\.|$)", ".{num}", name, count=1) for name in modules)
    )


@torch.no_grad()
def _main(folder: Path) -> None:
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    model, tokenizer = load(job["model"])
    pairs = list(zip(job["target"], job["source"], strict=True))
    vectors, steered = LEARN[job["library"]](model, tokenizer, pairs, job["modules"])
    ids = tokenizer(job["text"], return_tensors="pt")["input_ids"]
    tensors = {f"vector:{name}": vector.float().contiguous() for name, vector in vectors.items()}
    tensors |= {"ids": ids, "logits": steered(ids).contiguous()}
    save_file(tensors, folder / "vectors.safetensors")


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
