"""Folders of weights that transformers and diffusers load by themselves, without this library.

A shift needs a bias, and most language models have none. The classes of some families have them
where their configuration says so; Mistral and Qwen2 are Llamas whose own classes do not, so they
are written as Llamas.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers  # not `from`: its classes take seconds to import, so each loads on first use
from safetensors import SafetensorError
from torch import Tensor, nn

from lineas_core.errors import is_disk_full
from lineas_core.models.language import LanguageModel
from lineas_core.models.text_to_image import TextToImageModel
from lineas_core.runtime.loading import LOADING
from lineas_core.steering.baking import Readers, not_baked

__all__ = ["read_checkpoint", "readers_of", "write_checkpoint"]


@dataclass(frozen=True)
class _Family:
    """How models of one type can take shifts.

    Attributes:
        written_as: model type of transformers whose layers can have biases.
        biases: setting of its configuration -> part of a block whose layers it gives a bias.
        readers: the layers of a block that read the output of a norm, if they can have a bias.
    """

    written_as: str
    biases: Mapping[str, str] = field(default_factory=dict)
    readers: Readers = field(default_factory=dict)


_ATTENTION = {"input_layernorm": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj")}
_MLP = {"post_attention_layernorm": ("mlp.gate_proj", "mlp.up_proj")}
_LLAMA = _Family(
    "llama", {"attention_bias": ".self_attn.", "mlp_bias": ".mlp."}, {**_ATTENTION, **_MLP}
)
_FAMILIES = {
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    **{
        kind: _Family(kind, {"attention_bias": ".self_attn."}, _ATTENTION)
        for kind in ("gemma2", "gemma3_text", "qwen3")
    },
}


def readers_of(network: nn.Module) -> Readers:
    """Return where the shifts of a network's norms can go, for `bake`."""
    return _family(network).readers


def write_checkpoint(
    model: LanguageModel | TextToImageModel, changed: Mapping[str, Tensor], folder: Path
) -> None:
    """Write a language model with its tokenizer, or the network of an image model that denoises.

    Args:
        model: the model whose other parameters are written as they are.
        changed: name -> value of parameters from `bake`.
        folder: an existing folder.

    Raises:
        UserError: a bias is needed that no class for this network has.
        OSError: the files cannot be written.
    """
    state = {**model.network.state_dict(), **changed}
    with LOADING, torch.device("meta"):
        network = _empty(model.network, state)
    known = network.state_dict()
    if missing := [name.rpartition(".")[0] for name in changed if name not in known]:
        kind = type(network).__name__
        what = f"{kind} has no bias for the shifts of {len(missing)} of the modules"
        raise not_baked(f"{what}, such as {missing[0]}")
    dtype = model.network.dtype
    zeros = {name: torch.zeros(known[name].shape, dtype=dtype) for name in known.keys() - state}
    network.load_state_dict({**state, **zeros}, assign=True)
    try:
        if isinstance(model, LanguageModel):
            network.tie_weights()
            _plain(model.tokenizer).save_pretrained(folder)
        network.save_pretrained(folder)
        if isinstance(model, LanguageModel):
            # Published ones are kept as they are; transformers refuses to save some of them.
            settings = model.network.generation_config.to_json_string()
            (folder / "generation_config.json").write_text(settings, encoding="utf-8")
    except SafetensorError as error:
        number = errno.ENOSPC if is_disk_full(str(error)) else errno.EIO
        raise OSError(number, os.strerror(number)) from error


def read_checkpoint(
    model: LanguageModel | TextToImageModel, folder: Path
) -> LanguageModel | TextToImageModel:
    """Return a model that computes with the weights of a folder, as another program loads them.

    Args:
        model: the model that the folder was written from.
        folder: from `write_checkpoint`.
    """
    network: Any = model.network
    if isinstance(model, LanguageModel):
        return LanguageModel.load(
            folder,
            name=model.name,
            dtype=network.dtype,
            device_map=str(network.device),
            local_files_only=True,
        )
    other = copy(model)
    with LOADING:
        other.network = type(network).from_pretrained(
            folder, torch_dtype=network.dtype, use_safetensors=True, local_files_only=True
        )
    other.network.to(network.device).eval().requires_grad_(False)
    return other


def _family(network: nn.Module) -> _Family:
    kind = getattr(network.config, "model_type", "")
    return _FAMILIES.get(kind, _Family(kind))


def _empty(network: Any, state: Mapping[str, Tensor]) -> Any:
    """Build a network of the same class, or of the class of its family that has the biases."""
    if not hasattr(network.config, "model_type"):  # of diffusers
        facts = {k: v for k, v in network.config.items() if not k.startswith("_")}
        return type(network).from_config(facts)
    config = deepcopy(network.config)
    config._name_or_path = ""  # it can be a folder of this machine
    if state.keys() - network.state_dict():
        config = _with_biases(config, _family(network), state)
    if config.model_type == network.config.model_type:
        return type(network)(config)
    return transformers.AutoModelForCausalLM.from_config(config)


def _with_biases(config: Any, family: _Family, state: Mapping[str, Tensor]) -> Any:
    """Return the configuration of the class that a family is written as, with biases."""
    if family.written_as != config.model_type:
        window = getattr(config, "sliding_window", None)
        if window and window < config.max_position_embeddings:
            what = f"attention of {config.model_type} with a window of {window} tokens"
            raise not_baked(f"{what} has no class with biases")
        written = transformers.AutoConfig.for_model(family.written_as)
        known = written.to_dict().keys() - {"model_type"}
        facts = {name: value for name, value in config.to_dict().items() if name in known}
        config = transformers.AutoConfig.for_model(family.written_as, **facts)
    biases = [name for name in state if name.endswith(".bias")]
    for setting, part in family.biases.items():
        setattr(config, setting, any(part in name for name in biases))
    return config


def _plain(tokenizer: Any) -> Any:
    """Return the tokenizer as it was loaded: a call leaves its padding and truncation in it."""
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    return tokenizer
