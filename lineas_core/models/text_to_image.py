"""Text-to-image models from diffusers: encoding, forward pass, generation.

n prompts or rows; c h w channels, height and width of the latents.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from inspect import signature
from typing import TYPE_CHECKING, Any, cast

import torch
from PIL.Image import Image
from torch import Tensor, nn

from lineas_core.errors import UserError
from lineas_core.models.base import Inputs, Streams
from lineas_core.models.calls import Decoder, Denoiser, Reached, pack, stand_in, unpack
from lineas_core.models.denoising import denoising_of
from lineas_core.models.families import check_pipeline, family_of
from lineas_core.models.layout import LAYOUT_NUMBERS, layout_noise
from lineas_core.models.reading import Reader, silenced
from lineas_core.steering.presets import find_modules

if TYPE_CHECKING:  # imported lazily: diffusers takes seconds to import
    from diffusers import DiffusionPipeline

__all__ = ["MAX_PIXELS", "TextToImageModel"]

MAX_PIXELS = 1 << 20
"""Pixels decoded in one batch; at 1024 x 1024 the decoder needs gigabytes for one picture."""

_NOISES_APART = 1 << 20  # between the seeds of two calls: more than there are prompts
_FIRST_SEED = 1 << 32  # seed of the noise for learning, unlikely to be used for pictures
_USUAL_SIZE = 1024  # of pipelines that do not name a size
_TALKATIVE = (
    "diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl",
    "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion",
    "diffusers.pipelines.qwenimage.pipeline_qwenimage",
    "diffusers.pipelines.flux2.pipeline_flux2_klein",
    "diffusers.schedulers.scheduling_lcm",
    "transformers.tokenization_utils_base",
)


class TextToImageModel:
    """A frozen text-to-image model that can be steered.

    Attributes:
        kind: `text-to-image`.
        name: catalog name, hub id or folder.
        network: the UNet or transformer that denoises, frozen.
        pipeline: the diffusers pipeline of text encoders, network, scheduler and decoder.
        default_modules: the module names of its preset.
        default_pooling: `max`, over space, which objects change more than the mean.
        size: width and height of the pictures, in pixels.
        denoising: steps, guidance and noise, and the step at which maps are learnt.
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
        self.network: Any = getattr(self.pipeline, self._family.denoiser)
        self.default_modules = find_modules(self.network, preset or self._family.preset)
        self.size = _size_of(self.pipeline, name)
        self.denoising = denoising_of(self.pipeline, self._family, name)
        self.reader = Reader(self._limits())

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
        learn_at: int | None = None,
    ) -> TextToImageModel:
        """Return the model with other settings, on the same networks.

        Args:
            num_inference_steps: number of denoising steps; None keeps it.
            guidance_scale: see `Denoising`; None keeps it.
            learn_at: number of the denoising step, from 0, at which maps are learnt; None keeps
                it. The steps before it are not steered while learning.

        Raises:
            UserError: the model does not have a setting, or not this value of it.
        """
        other = copy(self)
        other.denoising = self.denoising.changed(
            self.name, num_inference_steps, guidance_scale, learn_at
        )
        return other

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Compute what the network is called with at the step of learning, with noise for each.

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
        embeds = self._embeds(prompts)
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
        names = self._names()
        held = {k: v for k, v in inputs.arguments.items() if k.partition(".")[0] in names}
        fresh = self._inputs(unpack(held, {}), range(first, first + len(inputs)))
        return replace(inputs, arguments=fresh.arguments, shared=fresh.shared)

    def truncated(self, prompts: Sequence[str]) -> int:
        """Count the prompts that exceed the text encoders' context length and are truncated."""
        return self.reader.truncated(prompts)

    def free_text_encoders(self) -> None:
        """Move the text encoders to the CPU; they return to the device for the next prompt."""
        for _, encoder in self._text_encoders():
            encoder.to("cpu")

    def forward(self, inputs: Inputs) -> Tensor:
        """Run one differentiable pass at the step of learning.

        Returns:
            (n, c, ...): what the network predicts, with the channels on the first axis.
        """
        names = self._names()
        own = {k: v for k, v in inputs.arguments.items() if k.partition(".")[0] not in names}
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
        return self._call(self._embeds(prompts), seeds).images

    def _inputs(self, embeds: dict[str, Any], seeds: Sequence[int]) -> Inputs:
        """Call the pipeline up to the step of learning; return what the network would get."""
        try:
            self._call(embeds, seeds, stop_at=self.denoising.learn_at)
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
            family.denoiser: Denoiser(self.network, family.timestep, len(seeds), stop_at),
            "vae": vae,
            "scheduler": copy(pipeline.scheduler),  # a copy, because it counts its steps
        }
        components |= dict.fromkeys(self._encoder_names())
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
        with silenced(*_TALKATIVE):
            return stand_in(pipeline, **components)(
                **embeds, **options, generator=generator, height=self.size, width=self.size
            )

    @torch.no_grad()
    def _embeds(self, prompts: Sequence[str]) -> dict[str, Any]:
        """Encode prompts, as the arguments of the pipeline's call."""
        device, guidance = self.network.device, self._family.guidance(self.pipeline)
        for _, encoder in self._text_encoders():
            encoder.to(device)
        texts = list(dict.fromkeys(prompts))
        scale = self.denoising.guidance_scale
        twice = guidance.twice and scale is not None and scale > 1
        found = self._encoded(texts, guided=twice)
        if twice and self._family.negative is not None:
            empty = self._encoded([self._family.negative] * len(texts), guided=False)
            found |= {f"negative_{name}": value for name, value in empty.items()}
        rows = [texts.index(prompt) for prompt in prompts]
        return {name: _selected(value, rows) for name, value in found.items() if _given(value)}

    def _encoded(self, texts: Sequence[str], *, guided: bool) -> dict[str, Any]:
        """Call `encode_prompt` with the defaults of the pipeline's call."""
        pipeline = self.pipeline
        call = signature(pipeline.__call__).parameters
        known = signature(pipeline.encode_prompt).parameters
        options = {name: call[name].default for name in known if name in call}
        options |= {"prompt": [*texts], "device": self.network.device}
        options["do_classifier_free_guidance"] = guided
        with silenced(*_TALKATIVE):
            result = pipeline.encode_prompt(**{k: v for k, v in options.items() if k in known})
        pairs = zip(self._family.embeds, result, strict=True)
        return {name: value for name, value in pairs if name}

    def _names(self) -> set[str]:
        """Return the names of all text embeddings."""
        names = self._family.embeds
        return {*names, *(f"negative_{name}" for name in names)}

    def _encoder_names(self) -> list[str]:
        names = [name for name in self.pipeline.components if name.startswith("text_encoder")]
        return sorted(names)

    def _text_encoders(self) -> list[tuple[Any, Any]]:
        """Pairs of tokenizer and text encoder, of those that the pipeline has."""
        names = self._encoder_names()
        parts = self.pipeline.components
        both = [(parts[name.replace("text_encoder", "tokenizer")], parts[name]) for name in names]
        return [pair for pair in both if None not in pair]

    def _limits(self) -> list[tuple[Any, int]]:
        """Tokenizers whose context length a prompt has to keep to, with that length."""
        limits = []
        for tokenizer, encoder in self._text_encoders():
            most = getattr(encoder.config, "max_position_embeddings", tokenizer.model_max_length)
            tokenizer.model_max_length = min(tokenizer.model_max_length, most)
            limits.append((tokenizer, tokenizer.model_max_length))
        call = signature(self.pipeline.__call__).parameters
        if "max_sequence_length" not in call:
            return limits
        # The last encoder reads the whole prompt; CLIP beside it only sets the mood.
        (tokenizer, limit), most = limits[-1], call["max_sequence_length"].default
        return [(tokenizer, min(limit, most))]

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
        latents = inputs.arguments.get("hidden_states", inputs.arguments.get("x"))
        if latents is None or latents.dim() == 3:
            return 0 if latents is None else latents.shape[1]
        config = self.network.config
        patch = config.get("patch_size") or config["all_patch_size"][0]
        return latents.shape[-2] // patch * (latents.shape[-1] // patch)


def _given(value: Any) -> bool:
    return isinstance(value, Tensor) or bool(value)


def _selected(value: Any, rows: Sequence[int]) -> Any:
    return [value[row] for row in rows] if isinstance(value, list) else value[[*rows]]


def _size_of(pipeline: Any, name: str) -> int:
    """Return width and height of the pictures, in pixels."""
    config = getattr(pipeline, "transformer", None) and pipeline.transformer.config
    side = getattr(pipeline, "default_sample_size", None) or (config or {}).get("sample_size")
    side = side or getattr(getattr(pipeline, "unet", None), "config", {}).get("sample_size")
    if side is None:
        return _USUAL_SIZE
    if not isinstance(side, int):
        what = f"its pictures are not square, with latents of {side}"
        raise UserError("E_MODEL", what, where=name, remedy="Choose a model of square pictures.")
    return side * pipeline.vae_scale_factor


def _check_prompts(prompts: Sequence[str]) -> None:
    if not prompts or not all(text.strip() for text in prompts):
        raise UserError("E_PROMPT", "a prompt is empty", remedy="Write a few words.")
