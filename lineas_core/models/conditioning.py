"""The text encoders of a diffusers pipeline, and what its call takes instead of prompts."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any

import torch
from torch import Tensor

from lineas_core.models.families import Family
from lineas_core.models.reading import silenced

__all__ = ["TALKATIVE", "TextEncoders"]

TALKATIVE = (
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
    "diffusers.pipelines.qwenimage.pipeline_qwenimage",
    "diffusers.pipelines.flux2.pipeline_flux2_klein",
    "diffusers.schedulers.scheduling_lcm",
    "transformers.tokenization_utils_base",
)
"""Loggers that repeat at every call what is known, such as that a prompt is cut."""


class TextEncoders:
    """The tokenizers and text encoders of a pipeline.

    Attributes:
        names: names of the components that are text encoders.
        embeds: names under which the call takes text embeddings.
    """

    def __init__(self, pipeline: Any, family: Family) -> None:
        """Use the text encoders of a pipeline of a family."""
        self._pipeline, self._family = pipeline, family
        self.names = sorted(n for n in pipeline.components if n.startswith("text_encoder"))
        self.embeds = {*family.embeds, *(f"negative_{name}" for name in family.embeds)}

    def limits(self) -> list[tuple[Any, int]]:
        """Return the tokenizers whose context length a prompt has to keep to, with that length."""
        limits = []
        for tokenizer, encoder in self._pairs():
            most = getattr(encoder.config, "max_position_embeddings", tokenizer.model_max_length)
            tokenizer.model_max_length = min(tokenizer.model_max_length, most)
            limits.append((tokenizer, tokenizer.model_max_length))
        call = signature(self._pipeline.__call__).parameters
        if "max_sequence_length" not in call:
            return limits
        # The last encoder reads the whole prompt; CLIP beside it sees the gist only.
        (tokenizer, limit), most = limits[-1], call["max_sequence_length"].default
        return [(tokenizer, min(limit, most))]

    def to(self, device: torch.device | str) -> None:
        """Move the text encoders."""
        for _, encoder in self._pairs():
            encoder.to(device)

    @torch.no_grad()
    def encode(self, prompts: Sequence[str], scale: float | None, device: Any) -> dict[str, Any]:
        """Encode prompts; repeated ones are encoded once.

        Args:
            prompts: n texts.
            scale: the guidance scale; None if there is none.
            device: where to compute; the encoders stay there.

        Returns:
            Arguments of the pipeline's call: tensors (n, ...), or lists with a tensor for each.
        """
        self.to(device)
        texts, family = list(dict.fromkeys(prompts)), self._family
        twice = family.guidance(self._pipeline).twice and scale is not None and scale > 1
        found = self._encoded(texts, device, guided=twice)
        if twice and family.negative is not None:
            empty = self._encoded([family.negative] * len(texts), device, guided=False)
            found |= {f"negative_{name}": value for name, value in empty.items()}
        rows = [texts.index(prompt) for prompt in prompts]
        return {name: _selected(value, rows) for name, value in found.items() if _given(value)}

    def _encoded(self, texts: Sequence[str], device: Any, *, guided: bool) -> dict[str, Any]:
        """Call `encode_prompt` with the defaults of the pipeline's call."""
        pipeline = self._pipeline
        call = signature(pipeline.__call__).parameters
        known = signature(pipeline.encode_prompt).parameters
        options = {name: call[name].default for name in known if name in call}
        options |= {"prompt": [*texts], "device": device, "do_classifier_free_guidance": guided}
        with silenced(*TALKATIVE):
            result = pipeline.encode_prompt(**{k: v for k, v in options.items() if k in known})
        pairs = zip(self._family.embeds, result, strict=True)
        return {name: value for name, value in pairs if name}

    def _pairs(self) -> list[tuple[Any, Any]]:
        """Pairs of tokenizer and text encoder, of those that the pipeline has."""
        parts = self._pipeline.components
        both = [(parts[n.replace("text_encoder", "tokenizer")], parts[n]) for n in self.names]
        return [pair for pair in both if None not in pair]


def _given(value: Any) -> bool:
    return isinstance(value, Tensor) or bool(value)


def _selected(value: Any, rows: Sequence[int]) -> Any:
    return [value[row] for row in rows] if isinstance(value, list) else value[[*rows]]
