"""One-step text-to-image models from diffusers: encoding, one training pass, seeded pictures.

n prompts or rows; c h w channels and space of the latents.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import copy, deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from PIL.Image import Image
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.models.base import Inputs
from lineas_core.runtime.precision import native_bfloat16
from lineas_core.steering.hooks import find_modules

if TYPE_CHECKING:  # diffusers takes seconds to import; only who loads a pipeline needs it
    from diffusers import StableDiffusionXLPipeline

__all__ = ["LAYOUT_NUMBERS", "TextToImageModel", "layout_noise"]

_NOISES = ("per-pixel", "layout")
LAYOUT_NUMBERS = 4
_NOISES_APART = 1 << 20  # between the first noises of two seeds: more than there are prompts
_FIRST_SEED = 1 << 32  # of the noise to learn from: not what pictures are usually drawn with
_TALKATIVE = (
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",
    "diffusers.schedulers.scheduling_lcm",
    "transformers.tokenization_utils_base",
)
_PIXELS_AT_ONCE = 1 << 20  # decoded together; at 1024 pixels the decoder needs gigabytes a row


def layout_noise(numbers: Tensor, channels: int, side: int) -> Tensor:
    """Latents of the noise `layout`, (n, channels, side, side), from numbers (n, 4).

    A small convolutional network sees its place only through the padding at the borders; told
    where a pixel lies, ours learnt to draw twice as fast.
    """
    at = math.pi * (torch.arange(side) + 0.5) / side
    waves = []
    for i in range(channels - LAYOUT_NUMBERS):
        wave = (i // 4 + 1) * at - math.pi / 2 * (i // 2 % 2)  # a sine and a cosine per axis
        across = i % 2 == 0
        waves.append((wave[None, :] if across else wave[:, None]).sin().expand(side, side))
    places = math.sqrt(2) * torch.stack(waves)
    constant = numbers[:, :, None, None].expand(-1, -1, side, side)
    return torch.cat([constant, places.expand(len(numbers), -1, -1, -1)], dim=1)


class TextToImageModel:
    """A frozen one-step text-to-image model that can be steered.

    Attributes:
        kind: `text-to-image`.
        name: catalog name, hub id or folder.
        network: the UNet, frozen.
        pipeline: text encoders, UNet, scheduler and decoder, as diffusers loads them.
        default_modules: the module names of its preset.
        default_pooling: the maximum over space, which objects change more than the mean.
        size: width and height of the pictures, in pixels.
        noise: `per-pixel` or `layout`, see `catalog.OneStep`.
        timestep: what the network is asked at, a scalar tensor.
    """

    kind = "text-to-image"
    default_pooling = "max"

    def __init__(
        self, pipeline: StableDiffusionXLPipeline, *, name: str, preset: str = "all-norms"
    ) -> None:
        """Freeze the pipeline and set its scheduler to one step.

        Raises:
            UserError: the preset matches nothing, or the scheduler's configuration asks for a
                timestep or a noise that does not exist.
        """
        self.name = name
        self.pipeline = cast(Any, pipeline)  # type checkers see none of its parts
        for part in self.pipeline.components.values():
            if isinstance(part, nn.Module):
                part.eval().requires_grad_(False)
        # A third quicker on a CPU, with or without bfloat16; the UNet gains nothing by it.
        self.pipeline.vae.to(memory_format=torch.channels_last)
        self.network: Any = self.pipeline.unet
        self.default_modules = find_modules(self.network, preset)
        self.size: int = self.pipeline.default_sample_size * self.pipeline.vae_scale_factor
        facts = self.pipeline.scheduler.config.get("_one_step") or {}
        if not isinstance(facts, dict):
            raise _wrong(name, f"_one_step is {facts!r}", "a table")
        self.noise: str = facts.get("noise", "per-pixel")
        if self.noise not in _NOISES:
            raise _wrong(name, f"noise is {self.noise!r}", f"one of {_NOISES}")
        # Of our own: whoever runs the pipeline by hand moves the scheduler it has.
        self._scheduler = deepcopy(self.pipeline.scheduler)
        self.timestep = self._set_to_one_step(facts.get("timestep"))
        for tokenizer, encoder in self._texts():
            limit = encoder.config.max_position_embeddings
            tokenizer.model_max_length = min(tokenizer.model_max_length, limit)

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Text embeddings and noise of every prompt; every row has noise of its own.

        The text encoders leave the GPU afterwards, learning needs their memory.

        Raises:
            UserError: there is no prompt, or one is empty.
        """
        _check(prompts)
        seeds = range(_FIRST_SEED, _FIRST_SEED + len(prompts))
        arguments = self._arguments(prompts, self._latents(seeds))
        self.free_text_encoders()
        return Inputs(arguments, truncated=self.truncated(prompts))

    def with_noise(self, inputs: Inputs, seed: int) -> Inputs:
        """Replace the starting noise.

        Args:
            inputs: n encoded prompts.
            seed: row k gets the noise of a number that is a function of `seed` and k alone, so
                that two sides of prompts with one seed have the same noise, row by row.
        """
        first = _FIRST_SEED + (seed % 2**40 + 1) * _NOISES_APART
        latents = self._latents(range(first, first + len(inputs)))
        sample = self._scheduler.scale_model_input(latents, self.timestep)
        kept = inputs.arguments["sample"]
        return replace(inputs, arguments={**inputs.arguments, "sample": sample.to(kept)})

    def truncated(self, prompts: Sequence[str]) -> int:
        """Number of prompts that are longer than the text encoders read, and will be cut."""
        with _silent():
            return sum(
                any(len(t(text)["input_ids"]) > t.model_max_length for t, _ in self._texts())
                for text in prompts
            )

    def free_text_encoders(self) -> None:
        """Move the text encoders to the CPU's memory; they come back when they are needed."""
        for _, encoder in self._texts():
            encoder.to("cpu")

    def forward(self, inputs: Inputs) -> Tensor:
        """One pass at the one timestep: the network's output, (n, c, h, w), not decoded."""
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
        """One picture per prompt, all rows in one batch.

        The same seed gives the same picture, whatever else is in the batch, up to rounding.

        Args:
            prompts: n texts; a text that comes more than once is encoded once.
            seeds: n whole numbers, for the noise.

        Returns:
            n pictures, `size` pixels wide and high.

        Raises:
            UserError: lengths differ, there is no prompt, or one is empty.
        """
        if len(seeds) != len(prompts):
            raise UserError(
                "E_SEED",
                f"{len(prompts)} prompts came with {len(seeds)} seeds",
                remedy="Give one seed for each prompt.",
            )
        _check(prompts)
        latents = self._latents(seeds)
        output = self.forward(Inputs(self._arguments(prompts, latents)))
        scheduler = copy(self._scheduler)  # it counts its steps, and this is always the first
        generator = torch.Generator(latents.device)  # no step may draw from the global one
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
                raise _wrong(self.name, f"timestep is {timestep!r}", f"a number below {steps}")
            try:
                with _silent():
                    scheduler.set_timesteps(timesteps=[timestep], device=device)
            except (TypeError, ValueError) as error:  # many a class chooses its own
                raise _wrong(self.name, f"timestep is {timestep}", "none") from error
        # Schedulers of the Euler family find their place in the schedule by this call.
        scheduler.scale_model_input(torch.zeros(1), scheduler.timesteps[0])
        return scheduler.timesteps[0]

    def _texts(self) -> list[tuple[Any, Any]]:
        """Tokenizers and text encoders: SDXL has two, a small model only the second."""
        p = self.pipeline
        both = [(p.tokenizer, p.text_encoder), (p.tokenizer_2, p.text_encoder_2)]
        return [pair for pair in both if None not in pair]

    def _latents(self, seeds: Sequence[int]) -> Tensor:
        """Starting noise, (n, c, h, w) in float32; a row is a function of its seed alone."""
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
        for _, encoder in self._texts():
            encoder.to(device)
        with _silent():
            hidden, _, pooled, _ = self.pipeline.encode_prompt(
                texts, device=device, do_classifier_free_guidance=False
            )
        rows = torch.tensor([texts.index(prompt) for prompt in prompts], device=device)
        place = [self.size, self.size, 0, 0, self.size, self.size]  # original, crop, target
        sample = self._scheduler.scale_model_input(latents, self.timestep)
        return {
            "sample": sample.to(dtype),
            "encoder_hidden_states": hidden[rows].to(dtype),
            "text_embeds": pooled[rows].to(dtype),
            "time_ids": torch.tensor(place, device=device, dtype=dtype).expand(len(rows), -1),
        }

    def _decode(self, latents: Tensor) -> list[Image]:
        vae, images = self.pipeline.vae, []
        # On a GPU the decoder keeps to float32, as its loader says; there it is quick enough.
        kind = latents.device.type
        lower = kind == "cpu" and native_bfloat16(latents.device)
        for rows in latents.split(max(1, _PIXELS_AT_ONCE // self.size**2)):
            rows = rows.to(vae.dtype, memory_format=torch.channels_last)
            with torch.autocast(kind, torch.bfloat16, enabled=lower):
                pixels = vae.decode(rows / vae.config.scaling_factor).sample
            images += self.pipeline.image_processor.postprocess(pixels.float(), output_type="pil")
        return images


def _check(prompts: Sequence[str]) -> None:
    if not prompts or not all(text.strip() for text in prompts):
        raise UserError("E_PROMPT", "a prompt is empty", remedy="Write a few words.")


@contextmanager
def _silent() -> Iterator[None]:
    """Hide warnings of what is meant (timestep 399 is not 999) or counted (long prompts)."""
    logs = [logging.getLogger(name) for name in _TALKATIVE]
    before = [log.disabled for log in logs]
    try:
        for log in logs:
            log.disabled = True
        yield
    finally:
        for log, disabled in zip(logs, before, strict=True):
            log.disabled = disabled


def _wrong(name: str, what: str, allowed: str) -> UserError:
    return UserError("E_MODEL", f"{what}, in the scheduler of {name}", remedy=f"Give {allowed}.")
