"""Text-to-image models from diffusers: encoding, forward pass, generation.

n prompts or rows; c h w channels, height and width of the latents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch
from PIL.Image import Image
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.models.base import Inputs, Streams
from lineas_core.models.calls import Decoder, Denoiser, Reached, pack, stand_in, unpack
from lineas_core.models.conditioning import TALKATIVE, TextEncoders
from lineas_core.models.denoising import denoising_of
from lineas_core.models.families import check_pipeline, family_of, size_of
from lineas_core.models.layout import LAYOUT_NUMBERS, layout_noise
from lineas_core.models.reading import Reader, silenced
from lineas_core.models.requests import check_seeds
from lineas_core.prompts.errors import check_texts
from lineas_core.steering.presets import find_modules

if TYPE_CHECKING:  # imported lazily: diffusers takes seconds to import
    from diffusers import DiffusionPipeline

__all__ = ["MAX_PIXELS", "TextToImageModel"]

MAX_PIXELS = 1 << 20
"""Pixels decoded in one batch; at 1024 x 1024 the decoder needs gigabytes for one picture."""

_NOISES_APART = 1 << 20  # between the seeds of two calls: more than there are prompts
_FIRST_SEED = 1 << 32  # seed of the noise for learning, unlikely to be used for pictures


class TextToImageModel:
    """A frozen text-to-image model that can be steered.

    Attributes:
        kind: `text-to-image`.
        name: catalog name, hub id or folder.
        network: the UNet or transformer that denoises, frozen.
        denoiser: its name in the pipeline, `unet` or `transformer`.
        pipeline: the diffusers pipeline of text encoders, network, scheduler and decoder.
        default_modules: the module names of its preset.
        default_pooling: `max`, over space, which objects change more than the mean.
        size: width and height of the pictures, in pixels.
        denoising: steps, guidance and noise, and the steps at which maps are learnt.
        reader: what it reads of a prompt.
    """

    kind = "text-to-image"
    default_pooling = "max"

    def __init__(
        self, pipeline: DiffusionPipeline, *, name: str, preset: str | None = None
    ) -> None:
        """Freeze the pipeline.

        Args:
            pipeline: a pipeline of one of `families.FAMILIES`; its scheduler's configuration can
                define steps, guidance and noise, see `denoising`.
            name: catalog name, hub id or folder.
            preset: layer preset or pattern for `default_modules`; None takes that of the family.

        Raises:
            UserError: the preset matches nothing, the pipeline is of another kind or cannot use
                its scheduler, or the scheduler's configuration is invalid.
        """
        self.name = name
        self.pipeline = cast(Any, pipeline)  # its components are untyped
        self._family = family_of(pipeline)
        check_pipeline(self.pipeline, self._family, name)
        for part in self.pipeline.components.values():
            if isinstance(part, nn.Module):
                part.eval().requires_grad_(False)
        # A third faster on a CPU, with or without bfloat16; the network does not gain from it.
        vae = self.pipeline.vae
        if all(parameter.dim() < 5 for parameter in vae.parameters()):  # not one for videos
            vae.to(memory_format=torch.channels_last)
        self.denoiser = self._family.denoiser
        self.network: Any = getattr(self.pipeline, self.denoiser)
        self.default_modules = find_modules(self.network, preset or self._family.preset)
        self.size = size_of(self.pipeline, name)
        self.denoising = denoising_of(self.pipeline, self._family, name)
        self._texts = TextEncoders(self.pipeline, self._family)
        self.reader = Reader(self._texts.limits())

    @property
    def keeps_layout(self) -> bool:
        """Whether pictures with an object and without it, from one seed, differ by it alone.

        Then the one without it is what steering should give; see
        `lineas_core.metrics.left_in_place`.
        """
        return self.denoising.noise == "layout"

    def with_denoising(
        self,
        *,
        num_inference_steps: int | None = None,
        guidance_scale: float | None = None,
        learn_at: int | Sequence[int] | None = None,
        steer_at: Sequence[int] | None = None,
    ) -> TextToImageModel:
        """Return the model with other settings, on the same networks.

        Args:
            num_inference_steps: number of denoising steps; None keeps it.
            guidance_scale: see `Denoising`; None keeps it.
            learn_at: numbers of the denoising steps, from 0, at which maps are learnt, or one of
                them; None keeps them. With several, `lineas_core.learn` minimises the mean of
                their losses. The steps before are not steered while learning.
            steer_at: numbers of the first and the last denoising step at which maps act; at the
                others the network runs unsteered. None keeps them, all by default.

        Raises:
            UserError: the model does not have a setting, or not this value of it.
        """
        other = copy(self)
        other.denoising = self.denoising.changed(
            self.name, num_inference_steps, guidance_scale, learn_at, steer_at
        )
        return other

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Compute what the network is called with at the first step of learning, with noise.

        The text encoders are moved to the CPU afterwards, because learning needs GPU memory.

        Args:
            prompts: n texts.

        Returns:
            The arguments of the network in its dtype, and the text embeddings that they were
            computed from.

        Raises:
            UserError: there is no prompt, or one is empty.
        """
        _check_prompts(prompts)
        embeds = self._encoded(prompts)
        self.free_text_encoders()
        inputs = self._inputs(embeds, range(_FIRST_SEED, _FIRST_SEED + len(prompts)))
        streams = None
        if text := self._family.text:
            weight = text(self.pipeline, prompts, inputs.arguments)
            streams = Streams(weight, self._positions(inputs), self._family.text_first)
        return replace(inputs, truncated=self.reader.truncated(prompts), streams=streams)

    def with_noise(self, inputs: Inputs, seed: int) -> Inputs:
        """Replace the starting noise.

        Args:
            inputs: n encoded prompts.
            seed: a whole number. The noise of row k depends on `seed` and k alone, so both sides
                of a prompt set get the same noise, row by row.
        """
        first = _FIRST_SEED + (seed % 2**40 + 1) * _NOISES_APART
        embeds = self._parted(inputs, embeds=True)
        fresh = self._inputs(unpack(embeds, {}), range(first, first + len(inputs)))
        return replace(inputs, arguments=fresh.arguments, shared=fresh.shared)

    def truncated(self, prompts: Sequence[str]) -> int:
        """Count the prompts that exceed the text encoders' context length and are truncated."""
        return self.reader.truncated(prompts)

    def free_text_encoders(self) -> None:
        """Move the text encoders to the CPU; they return to the device for the next prompt."""
        self._texts.to("cpu")

    def forward(self, inputs: Inputs) -> Tensor:
        """Run one differentiable pass at the step of learning.

        Returns:
            (n, c, ...): what the network predicts, with the channels on the first axis.
        """
        own = self._parted(inputs, embeds=False)
        output = self.network(**unpack(own, inputs.shared))[0]
        output = torch.stack(output) if isinstance(output, list) else output
        return output.transpose(1, 2) if output.dim() == 3 else output

    @torch.no_grad()
    def generate(self, prompts: Sequence[str], *, seeds: Sequence[int]) -> list[Image]:
        """Generate one picture per prompt, all rows in one batch, by the pipeline's own call.

        A seed gives the same picture, up to rounding, whatever else is in the batch.

        Args:
            prompts: n texts; repeated texts are encoded once.
            seeds: n integers, for the noise.

        Returns:
            n pictures, `size` pixels wide and high.

        Raises:
            UserError: the numbers of prompts and seeds differ, a seed is no whole number, there
                is no prompt, or one is empty or no text.
        """
        _check_prompts(prompts)
        check_seeds(seeds, len(prompts))
        return self._call(self._encoded(prompts), seeds).images

    def _encoded(self, prompts: Sequence[str]) -> dict[str, Any]:
        return self._texts.encode(prompts, self.denoising.guidance_scale, self.network.device)

    def _inputs(self, embeds: dict[str, Any], seeds: Sequence[int]) -> Inputs:
        """Call the pipeline up to the first step of learning; return the network's arguments."""
        try:
            self._call(embeds, seeds, stop_at=self.denoising.learn_at[0])
        except Reached as reached:
            given, family, count = reached.arguments, self._family, len(seeds)
            # Where a batch also has the rows of empty prompts, those of the prompts are taken.
            rows = slice(count) if family.prompts_first else slice(-count, None)
            arguments, shared = pack(given, rows, family.shared)
            held, _ = pack(embeds, slice(None), ())
            return Inputs({**arguments, **held}, shared=shared)
        raise RuntimeError("the pipeline ended before the step of learning")

    @torch.no_grad()
    def _call(
        self, embeds: Mapping[str, Any], seeds: Sequence[int], stop_at: int | None = None
    ) -> Any:
        """Call the pipeline with text embeddings; each row depends on its seed only."""
        family, denoising, pipeline = self._family, self.denoising, self.pipeline
        vae = Decoder(pipeline.vae, MAX_PIXELS // self.size**2)
        components: dict[str, Any] = {
            self.denoiser: Denoiser(
                self.network, family.timestep, len(seeds), stop_at, denoising.steer_at
            ),
            "vae": vae,
            "scheduler": copy(pipeline.scheduler),  # a copy, because it counts its steps
        }
        components |= dict.fromkeys(self._texts.names)
        steps = denoising.num_inference_steps
        options: dict[str, Any] = {"num_inference_steps": steps, **family.options(steps)}
        if denoising.timesteps:
            options["timesteps"] = [*denoising.timesteps]
        if argument := family.guidance(pipeline).argument:
            options[argument] = denoising.guidance_scale
        if self.keeps_layout:
            options["latents"] = self._layout(seeds)
        # Generators of the CPU, which give the same numbers on every machine.
        generator = [torch.Generator().manual_seed(seed) for seed in seeds]
        with silenced(*TALKATIVE):
            return stand_in(pipeline, **components)(
                **embeds, **options, generator=generator, height=self.size, width=self.size
            )

    def _parted(self, inputs: Inputs, *, embeds: bool) -> dict[str, Tensor]:
        """Return the text embeddings among the arguments, or those of the network."""
        known = self._texts.embeds
        arguments = inputs.arguments.items()
        return {k: v for k, v in arguments if (k.partition(".")[0] in known) == embeds}

    def _layout(self, seeds: Sequence[int]) -> Tensor:
        """Draw initial noise of the kind `layout`, (n, c, h, w)."""
        drawn = [
            torch.randn(LAYOUT_NUMBERS, generator=torch.Generator().manual_seed(s)) for s in seeds
        ]
        side = self.size // self.pipeline.vae_scale_factor
        latents = layout_noise(torch.stack(drawn), self.network.config.in_channels, side)
        return latents.to(self.network.device)

    def _positions(self, inputs: Inputs) -> int:
        """Number of positions that the picture has in the blocks of a transformer."""
        latents, config = next(iter(inputs.arguments.values())), self.network.config
        if latents.dim() == 3:  # packed
            return latents.shape[1]
        patch = config.get("patch_size") or config["all_patch_size"][0]
        return latents.shape[-2] // patch * (latents.shape[-1] // patch)


def _check_prompts(prompts: Sequence[str]) -> None:
    check_texts("prompts", prompts)
    if not prompts or not all(text.strip() for text in prompts):
        raise UserError("E_PROMPT", "a prompt is empty", remedy="Write a few words.")
