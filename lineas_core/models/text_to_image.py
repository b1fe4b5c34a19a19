"""One-step text-to-image models from diffusers: encoding, forward pass, generation.

n prompts or rows; c h w channels, height and width of the latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy, deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from PIL.Image import Image
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.models.base import Inputs
from lineas_core.models.layout import LAYOUT_NUMBERS, layout_noise
from lineas_core.models.reading import Reader, silenced
from lineas_core.runtime.precision import native_bfloat16
from lineas_core.steering.presets import find_modules

if TYPE_CHECKING:  # imported lazily: diffusers takes seconds to import
    from diffusers import StableDiffusionXLPipeline

__all__ = ["MAX_PIXELS", "TextToImageModel"]

MAX_PIXELS = 1 << 20
"""Pixels decoded in one batch; at 1024 x 1024 the decoder needs gigabytes for one picture."""

_NOISES = ("per-pixel", "layout")
_NOISES_APART = 1 << 20  # between the seeds of two calls: more than there are prompts
_FIRST_SEED = 1 << 32  # seed of the noise for learning, unlikely to be used for pictures
_TALKATIVE = (
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",
    "diffusers.schedulers.scheduling_lcm",
    "transformers.tokenization_utils_base",
)


class TextToImageModel:
    """A frozen one-step text-to-image model that can be steered.

    Attributes:
        kind: `text-to-image`.
        name: catalog name, hub id or folder.
        network: the UNet, frozen.
        pipeline: the diffusers pipeline of text encoders, UNet, scheduler and decoder.
        default_modules: the module names of its preset.
        default_pooling: `max`, over space, which objects change more than the mean.
        size: width and height of the pictures, in pixels.
        noise: `per-pixel` or `layout`, see `catalog.OneStep`.
        timestep: timestep of the single step, a scalar tensor.
        reader: what it reads of a prompt.
    """

    kind = "text-to-image"
    default_pooling = "max"

    def __init__(
        self, pipeline: StableDiffusionXLPipeline, *, name: str, preset: str = "all-norms"
    ) -> None:
        """Freeze the pipeline and set its scheduler to one step.

        Args:
            pipeline: a pipeline with SDXL's architecture; its scheduler's configuration can
                define timestep and noise under `_one_step`.
            name: catalog name, hub id or folder.
            preset: layer preset or pattern for `default_modules`.

        Raises:
            UserError: the preset matches nothing, or the scheduler's configuration has an
                invalid timestep or noise.
        """
        self.name = name
        self.pipeline = cast(Any, pipeline)  # its components are untyped
        for part in self.pipeline.components.values():
            if isinstance(part, nn.Module):
                part.eval().requires_grad_(False)
        # A third faster on a CPU, with or without bfloat16; the UNet does not gain from it.
        self.pipeline.vae.to(memory_format=torch.channels_last)
        self.network: Any = self.pipeline.unet
        self.default_modules = find_modules(self.network, preset)
        self.size: int = self.pipeline.default_sample_size * self.pipeline.vae_scale_factor
        facts = self.pipeline.scheduler.config.get("_one_step") or {}
        if not isinstance(facts, dict):
            raise _config_error(name, f"_one_step is {facts!r}", "a table")
        self.noise: str = facts.get("noise", "per-pixel")
        if self.noise not in _NOISES:
            raise _config_error(name, f"noise is {self.noise!r}", f"one of {_NOISES}")
        # A copy, because a call of the pipeline changes the state of its scheduler.
        self._scheduler = deepcopy(self.pipeline.scheduler)
        self.timestep = self._set_to_one_step(facts.get("timestep"))
        for tokenizer, encoder in self._text_encoders():
            limit = encoder.config.max_position_embeddings
            tokenizer.model_max_length = min(tokenizer.model_max_length, limit)
        self.reader = Reader([(t, t.model_max_length) for t, _ in self._text_encoders()])

    @property
    def keeps_layout(self) -> bool:
        """Whether pictures with an object and without it, from one seed, differ by it alone.

        Then the one without it is what steering should give; see
        `lineas_core.metrics.left_in_place`.
        """
        return self.noise == "layout"

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Compute the text embeddings of the prompts, and different noise for each.

        The text encoders are moved to the CPU afterwards, because learning needs GPU memory.

        Args:
            prompts: n texts.

        Returns:
            Latents `sample` (n, c, h, w), `encoder_hidden_states` (n, t, d), `text_embeds` and
            `time_ids`, in the network's dtype.

        Raises:
            UserError: there is no prompt, or one is empty.
        """
        _check_prompts(prompts)
        seeds = range(_FIRST_SEED, _FIRST_SEED + len(prompts))
        arguments = self._arguments(prompts, self._latents(seeds))
        self.free_text_encoders()
        return Inputs(arguments, truncated=self.reader.truncated(prompts))

    def with_noise(self, inputs: Inputs, seed: int) -> Inputs:
        """Replace the starting noise.

        Args:
            inputs: n encoded prompts.
            seed: a whole number. The noise of row k depends on `seed` and k alone, so both sides
                of a prompt set get the same noise, row by row.
        """
        first = _FIRST_SEED + (seed % 2**40 + 1) * _NOISES_APART
        latents = self._latents(range(first, first + len(inputs)))
        sample = self._scheduler.scale_model_input(latents, self.timestep)
        kept = inputs.arguments["sample"]
        return replace(inputs, arguments={**inputs.arguments, "sample": sample.to(kept)})

    def truncated(self, prompts: Sequence[str]) -> int:
        """Count the prompts that exceed the text encoders' context length and are truncated."""
        return self.reader.truncated(prompts)

    def free_text_encoders(self) -> None:
        """Move the text encoders to the CPU; they return to the device for the next prompt."""
        for _, encoder in self._text_encoders():
            encoder.to("cpu")

    def forward(self, inputs: Inputs) -> Tensor:
        """Run one differentiable pass at the single timestep; returns latents (n, c, h, w)."""
        text = inputs.arguments
        return self.network(
            text["sample"],
            self.timestep,
            encoder_hidden_states=text["encoder_hidden_states"],
            added_cond_kwargs={k: text[k] for k in ("text_embeds", "time_ids")},
            return_dict=False,
        )[0]

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list[Image]:
        """Generate one picture per prompt, all rows in one batch.

        A seed gives the same picture, up to rounding, whatever else is in the batch.

        Args:
            prompts: n texts; repeated texts are encoded once.
            seeds: n integers, for the noise.

        Returns:
            n pictures, `size` pixels wide and high.

        Raises:
            UserError: the numbers of prompts and seeds differ, there is no prompt, or one is
                empty.
        """
        if len(seeds) != len(prompts):
            raise UserError(
                "E_SEED",
                f"{len(prompts)} prompts came with {len(seeds)} seeds",
                remedy="Give one seed for each prompt.",
            )
        _check_prompts(prompts)
        latents = self._latents(seeds)
        output = self.forward(Inputs(self._arguments(prompts, latents)))
        scheduler = copy(self._scheduler)  # a copy, because it counts its steps
        generator = torch.Generator(latents.device)  # keeps the global one unchanged
        (denoised, *_) = scheduler.step(
            output.float(), self.timestep, latents, generator=generator, return_dict=False
        )
        return self._decode(denoised)

    def _set_to_one_step(self, timestep: int | None) -> Tensor:
        scheduler, device = self._scheduler, self.network.device
        if timestep is None:
            scheduler.set_timesteps(1, device=device)
        else:
            steps = scheduler.config.num_train_timesteps
            if not isinstance(timestep, int) or not 0 <= timestep < steps:
                allowed = f"a number below {steps}"
                raise _config_error(self.name, f"timestep is {timestep!r}", allowed)
            try:
                with silenced(*_TALKATIVE):
                    scheduler.set_timesteps(timesteps=[timestep], device=device)
            except (TypeError, ValueError) as error:  # some classes accept no timesteps
                raise _config_error(self.name, f"timestep is {timestep}", "none") from error
        # Schedulers of the Euler family find their position in the schedule by this call.
        scheduler.scale_model_input(torch.zeros(1), scheduler.timesteps[0])
        return scheduler.timesteps[0]

    def _text_encoders(self) -> list[tuple[Any, Any]]:
        """Pairs of tokenizer and text encoder: SDXL has two, a small model only the second."""
        p = self.pipeline
        both = [(p.tokenizer, p.text_encoder), (p.tokenizer_2, p.text_encoder_2)]
        return [pair for pair in both if None not in pair]

    def _latents(self, seeds: Sequence[int]) -> Tensor:
        """Draw initial noise, (n, c, h, w) in float32; each row depends on its seed only."""
        channels, side = self.network.config.in_channels, self.pipeline.default_sample_size
        layout = self.noise == "layout"
        drawn = (LAYOUT_NUMBERS,) if layout else (channels, side, side)
        latents = torch.stack(
            [torch.randn(drawn, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
        )
        if layout:
            latents = layout_noise(latents, channels, side)
        return latents.to(self.network.device) * self._scheduler.init_noise_sigma

    @torch.no_grad()
    def _arguments(self, prompts: Sequence[str], latents: Tensor) -> dict[str, Tensor]:
        texts = list(dict.fromkeys(prompts))
        device, dtype = self.network.device, self.network.dtype
        for _, encoder in self._text_encoders():
            encoder.to(device)
        with silenced(*_TALKATIVE):
            hidden, _, pooled, _ = self.pipeline.encode_prompt(
                texts, device=device, do_classifier_free_guidance=False
            )
        rows = torch.tensor([texts.index(prompt) for prompt in prompts], device=device)
        sizes = [self.size, self.size, 0, 0, self.size, self.size]  # original, crop, target
        sample = self._scheduler.scale_model_input(latents, self.timestep)
        return {
            "sample": sample.to(dtype),
            "encoder_hidden_states": hidden[rows].to(dtype),
            "text_embeds": pooled[rows].to(dtype),
            "time_ids": torch.tensor(sizes, device=device, dtype=dtype).expand(len(rows), -1),
        }

    def _decode(self, latents: Tensor) -> list[Image]:
        """Decode latents (n, c, h, w) into n pictures, a few at a time."""
        vae, images = self.pipeline.vae, []
        # On a GPU the decoder stays in float32, where it is fast enough.
        kind = latents.device.type
        lower = kind == "cpu" and native_bfloat16(latents.device)
        for rows in latents.split(max(1, MAX_PIXELS // self.size**2)):
            rows = rows.to(vae.dtype, memory_format=torch.channels_last)
            with torch.autocast(kind, torch.bfloat16, enabled=lower):
                pixels = vae.decode(rows / vae.config.scaling_factor).sample
            images += self.pipeline.image_processor.postprocess(pixels.float(), output_type="pil")
        return images


def _check_prompts(prompts: Sequence[str]) -> None:
    if not prompts or not all(text.strip() for text in prompts):
        raise UserError("E_PROMPT", "a prompt is empty", remedy="Write a few words.")


def _config_error(name: str, what: str, allowed: str) -> UserError:
    return UserError("E_MODEL", f"{what}, in the scheduler of {name}", remedy=f"Give {allowed}.")
