"""The families of diffusers pipelines that can be steered, as a table of how they differ.

Pictures are made by each pipeline's own call, so that schedulers, guidance and decoders work as in
diffusers. An entry only says what cannot be read from the signatures of a class.

n prompts, t positions of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor

from lineas_core.errors import UserError

__all__ = [
    "FAMILIES",
    "USUAL_SIZE",
    "Family",
    "Guidance",
    "check_pipeline",
    "checked_side",
    "family_of",
    "size_of",
]


USUAL_SIZE = 1024
"""Width and height in pixels of the pictures of pipelines that do not name a size."""


class Guidance(NamedTuple):
    """How a pipeline takes its guidance scale.

    Attributes:
        argument: name of the call's argument; None if the network was distilled without one.
        twice: whether every step runs the network for an empty prompt, too, at scales above 1;
            otherwise the scale is an input of the network.
    """

    argument: str | None = "guidance_scale"
    twice: bool = True


@dataclass(frozen=True)
class Family:
    """One class of diffusers pipelines.

    Attributes:
        embeds: what `encode_prompt` returns, by the names of the call's arguments; empty for a
            result that the call does not take.
        denoiser: name of the component that is steered.
        preset: layer preset that `learn` uses by default.
        needs: an attribute of the scheduler, or a parameter of its `set_timesteps`, without which
            the pipeline cannot use it.
        guidance: pipeline -> how it takes its guidance scale.
        guidance_scale: the default; None takes that of the call.
        options: number of steps -> further arguments of the call.
        negative: the empty prompt where it is encoded on its own; None where `encode_prompt`
            returns both.
        shared: arguments of the network that are the same for all prompts.
        timestep: name of the network's argument for the timestep.
        prompts_first: whether the rows of prompts precede those of empty prompts in a batch.
        text_first: whether text precedes the picture in blocks that join both.
        text: (pipeline, prompts, arguments of the network) -> (n, t), 1 for a token of a prompt
            and 0 for padding; None if no activation has positions of the text.
    """

    embeds: Sequence[str]
    denoiser: str = "transformer"
    preset: str = "transformer-norms"
    needs: str = "sigmas"
    guidance: Callable[[Any], Guidance] = lambda _: Guidance()
    guidance_scale: float | None = None
    options: Callable[[int], Mapping[str, Any]] = lambda _: {}
    negative: str | None = None
    shared: Sequence[str] = ()
    timestep: str = "timestep"
    prompts_first: bool = False
    text_first: bool = True
    text: Callable[[Any, Sequence[str], Mapping[str, Tensor]], Tensor] | None = None


def _unet_guidance(pipeline: Any) -> Guidance:
    return Guidance(twice=pipeline.unet.config.time_cond_proj_dim is None)


def _flux_guidance(pipeline: Any) -> Guidance:
    embedded = pipeline.transformer.config.guidance_embeds
    return Guidance("guidance_scale" if embedded else None, twice=False)


def _klein_guidance(pipeline: Any) -> Guidance:
    return Guidance(None if pipeline.config.is_distilled else "guidance_scale")


def _prefix(lengths: Sequence[int] | Tensor, positions: int) -> Tensor:
    """Return (n, positions), 1 for the first positions of each row."""
    return (torch.arange(positions) < torch.as_tensor(lengths).cpu()[:, None]).float()


def _tokens(tokenizer: Any, prompts: Sequence[str], positions: int) -> Tensor:
    return _prefix([len(tokenizer(prompt)["input_ids"]) for prompt in prompts], positions)


def _flux_text(pipeline: Any, prompts: Sequence[str], arguments: Mapping[str, Tensor]) -> Tensor:
    positions = arguments["encoder_hidden_states"].shape[1]
    return _tokens(pipeline.tokenizer_2, prompts, positions)


def _klein_text(pipeline: Any, prompts: Sequence[str], arguments: Mapping[str, Tensor]) -> Tensor:
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    options: Any = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
    texts = [pipeline.tokenizer.apply_chat_template(turn, **options) for turn in turns]
    return _tokens(pipeline.tokenizer, texts, arguments["encoder_hidden_states"].shape[1])


def _sd3_text(pipeline: Any, prompts: Sequence[str], arguments: Mapping[str, Tensor]) -> Tensor:
    """Return the weights of CLIP's positions, followed by those of T5's."""
    clip = pipeline.tokenizer_max_length
    others = arguments["encoder_hidden_states"].shape[1] - clip
    first = _tokens(pipeline.tokenizer, prompts, clip)
    if pipeline.tokenizer_3 is None:  # zeros then stand for what T5 would read
        return torch.cat([first, torch.zeros(len(prompts), others)], dim=1)
    return torch.cat([first, _tokens(pipeline.tokenizer_3, prompts, others)], dim=1)


def _masked_text(mask: str) -> Callable[[Any, Sequence[str], Mapping[str, Tensor]], Tensor]:
    """Read the weights from the mask among the arguments of the network, if it has one."""

    def text(_: Any, prompts: Sequence[str], arguments: Mapping[str, Tensor]) -> Tensor:
        positions = arguments["encoder_hidden_states"].shape[1]
        found = arguments.get(mask)
        return torch.ones(len(prompts), positions) if found is None else found.float().cpu()

    return text


def _z_image_text(_: Any, __: Sequence[str], arguments: Mapping[str, Tensor]) -> Tensor:
    return _prefix(arguments["cap_feats.length"], arguments["cap_feats"].shape[1])


_SD = Family(
    ("prompt_embeds", "negative_prompt_embeds"),
    denoiser="unet",
    preset="all-norms",
    needs="init_noise_sigma",
    guidance=_unet_guidance,
)
_FOUR = (
    "prompt_embeds",
    "negative_prompt_embeds",
    "pooled_prompt_embeds",
    "negative_pooled_prompt_embeds",
)
FAMILIES: dict[str, Family] = {
    "StableDiffusionPipeline": _SD,
    "StableDiffusionXLPipeline": Family(
        _FOUR,
        denoiser="unet",
        preset="all-norms",
        needs="init_noise_sigma",
        guidance=_unet_guidance,
    ),
    "FluxPipeline": Family(
        ("prompt_embeds", "pooled_prompt_embeds", ""),
        guidance=_flux_guidance,
        shared=("txt_ids", "img_ids"),
        text=_flux_text,
    ),
    "StableDiffusion3Pipeline": Family(_FOUR, text=_sd3_text),
    "SanaSprintPipeline": Family(
        ("prompt_embeds", "prompt_attention_mask"),
        needs="max_timesteps",
        guidance=lambda _: Guidance(twice=False),
        # The default of the call is for two steps and refused for others.
        options=lambda steps: {} if steps == 2 else {"intermediate_timesteps": None},
        text=_masked_text("encoder_attention_mask"),
    ),
    "ZImagePipeline": Family(
        ("prompt_embeds", "negative_prompt_embeds"),
        timestep="t",
        prompts_first=True,
        text_first=False,
        text=_z_image_text,
    ),
    "Flux2KleinPipeline": Family(
        ("prompt_embeds", ""), guidance=_klein_guidance, negative="", text=_klein_text
    ),
    "QwenImagePipeline": Family(
        ("prompt_embeds", "prompt_embeds_mask"),
        guidance=lambda _: Guidance("true_cfg_scale"),
        guidance_scale=1.0,  # the call ignores its own default without a negative prompt
        negative=" ",
        shared=("img_shapes",),
        text=_masked_text("encoder_hidden_states_mask"),
    ),
}
"""Name of a pipeline's class -> how it is called."""


def family_of(pipeline: Any) -> Family:
    """Return the family of a pipeline.

    Raises:
        UserError: its class is none of `FAMILIES`.
    """
    kind = type(pipeline).__name__
    if kind not in FAMILIES:
        remedy = f"Choose one of the kinds {', '.join(FAMILIES)}."
        raise UserError("E_MODEL", f"the pipeline is of the kind {kind!r}", remedy=remedy)
    return FAMILIES[kind]


def check_pipeline(pipeline: Any, family: Family, name: str) -> None:
    """Check that a pipeline can make a picture from a text alone.

    Raises:
        UserError: its scheduler is for other pipelines, or its network takes more than latents.
    """
    scheduler = pipeline.scheduler
    known = signature(scheduler.set_timesteps).parameters
    if not (family.needs in known or hasattr(scheduler, family.needs)):
        what = f"a {type(pipeline).__name__} cannot use a {type(scheduler).__name__}"
        remedy = "Replace the scheduler by the one that the model was published with."
        raise UserError("E_MODEL", what, where=name, remedy=remedy)
    config = getattr(pipeline, family.denoiser).config
    taken, made = config.in_channels, getattr(config, "out_channels", None) or config.in_channels
    if family.denoiser == "unet" and taken != made:
        what = f"its network takes {taken} channels and returns {made}, as for inpainting"
        raise UserError("E_MODEL", what, where=name, remedy="Choose a text-to-image model.")


def size_of(pipeline: Any, name: str) -> int:
    """Return width and height of a pipeline's pictures, in pixels.

    Raises:
        UserError: they are not square.
    """
    config = getattr(pipeline, "transformer", None) and pipeline.transformer.config
    side = getattr(pipeline, "default_sample_size", None) or (config or {}).get("sample_size")
    side = side or getattr(getattr(pipeline, "unet", None), "config", {}).get("sample_size")
    if side is None:
        return USUAL_SIZE
    return checked_side(side, name) * pipeline.vae_scale_factor


def checked_side(side: Any, name: str) -> int:
    """Return the side of the latents of a model, from its configuration.

    Raises:
        UserError: they are not square.
    """
    if not isinstance(side, int):
        what = f"its pictures are not square, with latents of {side}"
        raise UserError("E_MODEL", what, where=name, remedy="Choose a model of square pictures.")
    return side
