"""The families of text-to-image pipelines at a millionth of their size.

python -m tests.pipelines          tries all of them and writes the table in docs/models.md
python -m tests.pipelines lcm      tries one and prints its row
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple
from unittest.mock import patch

import diffusers
import numpy as np
import torch
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    Gemma2Config,
    Gemma2Model,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3Model,
    T5Config,
    T5EncoderModel,
)

from lineas_core import (
    AffineMap,
    LearnConfig,
    SteeringMaps,
    UserError,
    check_fits,
    fold,
    learn,
    load_maps,
    load_model,
    save_maps,
    steer,
)
from lineas_core.models import TextToImageModel, calls
from tests.architectures import PAGE, PIPELINES, unlike_hooks
from tests.fakes import SDXL_UNET, letter_tokenizer, save_model, tiny_chat_model

STEPS = ("load", "one step", "its steps", "learn", "mean", "fold", "strip", "range", "save")
_NINE = [-1.0, -0.6, -0.3, -0.1, 0.0, 0.1, 0.3, 0.6, 1.0]
_SIZE = 32  # pixels: 16 x 16 latents
_SIDES = ["a b", "c d e", "k l"], ["e f g", "h", "i j"]


class Case(NamedTuple):
    """A model that people use, and how many steps with which guidance it takes.

    Attributes:
        kind: class of the pipeline.
        models: what it stands for.
        steps: usual number of steps.
        guidance: guidance scale; None if it has none.
        unet: settings of the UNet that differ.
        scheduler: class of the scheduler; None takes that of the family.
        vae: settings of the VAE that differ.
    """

    kind: str
    models: str
    steps: int
    guidance: float | None
    unet: dict = {}
    scheduler: str | None = None
    vae: dict = {}


_TURBO, _LCM = "EulerAncestralDiscreteScheduler", "LCMScheduler"
_MEANS = {"latents_mean": [0.2, -0.1, 0.1, 0.3], "latents_std": [1.2, 0.9, 1.1, 0.8]}
CASES = {
    "sd": Case("StableDiffusionPipeline", "Stable Diffusion", 3, 7.5),
    "sd-turbo": Case("StableDiffusionPipeline", "SD-Turbo", 4, 0, scheduler=_TURBO),
    "lcm": Case("StableDiffusionPipeline", "LCM-SD15", 4, 8.5, {"time_cond_proj_dim": 8}, _LCM),
    "sdxl": Case("StableDiffusionXLPipeline", "SDXL", 3, 5.0),
    "sdxl-turbo": Case("StableDiffusionXLPipeline", "SDXL Turbo", 4, 0, scheduler=_TURBO),
    "dmd2": Case("StableDiffusionXLPipeline", "DMD2, LCM-LoRA", 4, 0, scheduler=_LCM),
    "lightning": Case("StableDiffusionXLPipeline", "SDXL Lightning", 4, 0),
    "lcm-sdxl": Case(
        "StableDiffusionXLPipeline", "LCM-SDXL", 4, 8.0, {"time_cond_proj_dim": 8}, _LCM
    ),
    "playground": Case(
        "StableDiffusionXLPipeline",
        "Playground 2.5",
        4,
        3.0,
        scheduler="EDMDPMSolverMultistepScheduler",
        vae=_MEANS,
    ),
    "unipc": Case(
        "StableDiffusionXLPipeline", "SDXL by UniPC", 4, 0, scheduler="UniPCMultistepScheduler"
    ),
    "heun": Case(
        "StableDiffusionXLPipeline", "SDXL by Heun", 3, 0, scheduler="HeunDiscreteScheduler"
    ),
    "flux-schnell": Case("FluxPipeline", "FLUX.1-schnell", 4, None),
    "flux-dev": Case("FluxPipeline", "FLUX.1-dev", 4, 3.5, {"guidance_embeds": True}),
    "sd3-turbo": Case("StableDiffusion3Pipeline", "SD3.5-turbo", 4, 0),
    "sd3": Case("StableDiffusion3Pipeline", "SD3.5", 3, 4.5),
    "sana-sprint": Case("SanaSprintPipeline", "SANA-Sprint", 2, 4.5),
    "z-image-turbo": Case("ZImagePipeline", "Z-Image-Turbo", 4, 0),
    "z-image": Case("ZImagePipeline", "Z-Image", 3, 4.0),
    "flux2-klein": Case("Flux2KleinPipeline", "FLUX.2-klein", 4, None, {"distilled": True}),
    "flux2-klein-base": Case("Flux2KleinPipeline", "FLUX.2-klein-base", 3, 4.0),
    "qwen-image": Case("QwenImagePipeline", "Qwen-Image, few steps", 4, 1.0),
    "qwen-image-cfg": Case("QwenImagePipeline", "Qwen-Image", 3, 4.0),
}


def tiny(name, seed=0):
    """Build the pipeline of a case with random weights."""
    case = CASES[name]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return _BUILDERS[case.kind](case)


def _clip(projected=False, hidden=32):
    tokenizer = letter_tokenizer()
    tokenizer.model_max_length = 16
    config = CLIPTextConfig(
        vocab_size=len(tokenizer),
        hidden_size=hidden,
        intermediate_size=64,
        projection_dim=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=16,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        initializer_factor=10.0,
    )
    return tokenizer, (CLIPTextModelWithProjection if projected else CLIPTextModel)(config)


def _bytes():
    tokenizer = tiny_chat_model().tokenizer
    tokenizer.model_max_length = 4096
    return tokenizer


def _t5():
    tokenizer = _bytes()
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4
    )
    return tokenizer, T5EncoderModel(config)


def _text_sizes(tokenizer, layers):
    return {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "max_position_embeddings": 4096,
        "initializer_range": 0.2,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _vae(case, channels=4, kind="AutoencoderKL", **settings):
    vae = getattr(diffusers, kind)(
        block_out_channels=(8, 8),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=2,
        **{**settings, **case.vae},
    )
    vae.decoder.conv_out.weight.data *= 3  # random weights alone give an even grey
    return vae


def _unet(case, **settings):
    sizes = {
        "attention_head_dim": 4,
        "block_out_channels": [8, 16],
        "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"],
        "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"],
        "cross_attention_dim": 32,
        "layers_per_block": 1,
        "norm_num_groups": 4,
        "sample_size": 16,
        "transformer_layers_per_block": 1,
    }
    config = {**SDXL_UNET, **sizes, **settings, **case.unet}
    return diffusers.UNet2DConditionModel.from_config(config)


def _scheduler(case, usual="EulerDiscreteScheduler", **config):
    return getattr(diffusers, case.scheduler or usual)(**config)


def _sd(case):
    tokenizer, text_encoder = _clip()
    plain = {"addition_embed_type": None, "projection_class_embeddings_input_dim": None}
    return diffusers.StableDiffusionPipeline(
        vae=_vae(case),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        unet=_unet(case, **plain),
        scheduler=_scheduler(case, steps_offset=1),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def _sdxl(case):
    tokenizer, text_encoder = _clip(hidden=16)
    tokenizer_2, text_encoder_2 = _clip(projected=True, hidden=16)
    embedded = {
        "addition_time_embed_dim": 8,
        "projection_class_embeddings_input_dim": 16 + 6 * 8,
    }
    return diffusers.StableDiffusionXLPipeline(
        vae=_vae(case),
        text_encoder=text_encoder,
        text_encoder_2=text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer_2,
        unet=_unet(case, **embedded),
        scheduler=_scheduler(case),
        add_watermarker=False,
    )


def _flow():
    return diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0)


def _flux(case):
    tokenizer, text_encoder = _clip()
    tokenizer_2, text_encoder_2 = _t5()
    transformer = diffusers.FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        axes_dims_rope=(4, 4, 8),
        **case.unet,
    )
    return diffusers.FluxPipeline(
        scheduler=_flow(),
        vae=_vae(case, shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        transformer=transformer,
    )


def _sd3(case):
    tokenizer, text_encoder = _clip(projected=True, hidden=16)
    tokenizer_2, text_encoder_2 = _clip(projected=True, hidden=16)
    tokenizer_3, text_encoder_3 = _t5()
    transformer = diffusers.SD3Transformer2DModel(
        sample_size=16,
        patch_size=2,
        in_channels=4,
        out_channels=4,
        num_layers=2,
        attention_head_dim=8,
        num_attention_heads=4,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=32,
        pos_embed_max_size=32,
    )
    return diffusers.StableDiffusion3Pipeline(
        transformer=transformer,
        scheduler=_flow(),
        vae=_vae(case, shift_factor=0.1, use_quant_conv=False, use_post_quant_conv=False),
        text_encoder=text_encoder,
        tokenizer=tokenizer,
        text_encoder_2=text_encoder_2,
        tokenizer_2=tokenizer_2,
        text_encoder_3=text_encoder_3,
        tokenizer_3=tokenizer_3,
    )


def _sana(_):
    tokenizer = _bytes()
    transformer = diffusers.SanaTransformer2DModel(
        in_channels=4,
        out_channels=4,
        num_layers=2,
        num_attention_heads=2,
        attention_head_dim=8,
        num_cross_attention_heads=2,
        cross_attention_head_dim=8,
        cross_attention_dim=16,
        caption_channels=32,
        qk_norm="rms_norm_across_heads",
        guidance_embeds=True,
    )
    blocks = 6  # a factor of 32: the pipeline knows pictures of 1024 pixels only
    vae = diffusers.AutoencoderDC(
        latent_channels=4,
        encoder_block_out_channels=(4,) * blocks,
        decoder_block_out_channels=(4,) * blocks,
        encoder_layers_per_block=(1,) * blocks,
        decoder_layers_per_block=(1,) * blocks,
        encoder_qkv_multiscales=((),) * blocks,
        decoder_qkv_multiscales=((),) * blocks,
        scaling_factor=0.4,
    )
    return diffusers.SanaSprintPipeline(
        tokenizer=tokenizer,
        text_encoder=Gemma2Model(Gemma2Config(**_text_sizes(tokenizer, 2))),
        vae=vae,
        transformer=transformer,
        scheduler=diffusers.SCMScheduler(),
    )


def _z_image(case):
    tokenizer = _bytes()
    transformer = diffusers.ZImageTransformer2DModel(
        in_channels=4,
        dim=32,
        n_layers=2,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[8, 4, 4],
        axes_lens=[1024, 64, 64],
    )
    return diffusers.ZImagePipeline(
        scheduler=_flow(),
        vae=_vae(case, shift_factor=0.1),
        text_encoder=Qwen3Model(Qwen3Config(**_text_sizes(tokenizer, 3))),
        tokenizer=tokenizer,
        transformer=transformer,
    )


def _klein(case):
    tokenizer = _bytes()
    transformer = diffusers.Flux2Transformer2DModel(
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=96,
        timestep_guidance_channels=32,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    return diffusers.Flux2KleinPipeline(
        scheduler=_flow(),
        vae=_vae(case, kind="AutoencoderKLFlux2"),
        text_encoder=Qwen3ForCausalLM(Qwen3Config(**_text_sizes(tokenizer, 28))),
        tokenizer=tokenizer,
        transformer=transformer,
        is_distilled=case.unet.get("distilled", False),
    )


def _qwen_image(_):
    tokenizer = _bytes()
    text = {
        **_text_sizes(tokenizer, 2),
        "rope_scaling": {"type": "mrope", "mrope_section": [2, 1, 1]},
    }
    vision = {"depth": 1, "hidden_size": 32, "intermediate_size": 32, "num_heads": 2}
    vision |= {"out_hidden_size": 32}
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision)
    vae = diffusers.AutoencoderKLQwenImage(
        base_dim=8,
        z_dim=4,
        dim_mult=[1, 1],
        num_res_blocks=1,
        temperal_downsample=[False],
        latents_mean=_MEANS["latents_mean"],
        latents_std=_MEANS["latents_std"],
    )
    transformer = diffusers.QwenImageTransformer2DModel(
        patch_size=2,
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(8, 4, 4),
    )
    return diffusers.QwenImagePipeline(
        scheduler=_flow(),
        vae=vae,
        text_encoder=Qwen2_5_VLForConditionalGeneration(config),
        tokenizer=tokenizer,
        transformer=transformer,
    )


_BUILDERS = {
    "StableDiffusionPipeline": _sd,
    "StableDiffusionXLPipeline": _sdxl,
    "FluxPipeline": _flux,
    "StableDiffusion3Pipeline": _sd3,
    "SanaSprintPipeline": _sana,
    "ZImagePipeline": _z_image,
    "Flux2KleinPipeline": _klein,
    "QwenImagePipeline": _qwen_image,
}


class Row(NamedTuple):
    """What was tried on a pipeline, and what went wrong."""

    name: str
    step: str = ""
    reason: str = ""


def try_out(name):
    """Take a pipeline through all steps and return its row."""
    tried = _steps(name)
    step = STEPS[0]
    exact = patch.object(calls, "native_bfloat16", lambda _: False)  # decodes in float32
    try:
        for step in STEPS:  # noqa: B007 - read after an error
            with exact:
                next(tried)
    except (UserError, AssertionError) as error:
        return Row(name, step, str(error))
    return Row(name)


def model_of(name, seed=0):
    """Build the model of a case, with small pictures where the pipeline can make them."""
    return small(TextToImageModel(tiny(name, seed), name=name), name)


def small(model, name):
    """Make pictures small, and take the guidance of a case."""
    if CASES[name].kind != "SanaSprintPipeline":
        model.size = _SIZE
    return model.with_denoising(guidance_scale=CASES[name].guidance)


def _steps(name):
    """Do one step of `STEPS` at a time."""
    case = CASES[name]
    with TemporaryDirectory() as folder:
        place = save_model(TextToImageModel(tiny(name), name=name), folder)
        model = small(load_model(place, device="cpu"), name)
        yield
    for steps in (1, case.steps):
        assert (off := unlike_diffusers(model, steps)) <= 1, f"{off} of 255 off diffusers"
        yield
    model = model.with_denoising(num_inference_steps=case.steps)
    maps = _learnt(model)
    _learnt(model.with_denoising(learn_at=case.steps - 1))
    yield
    several = _learnt(model.with_denoising(learn_at=(0, case.steps - 1)))
    assert several.metadata["denoising"]["learn_at"] == (0, case.steps - 1)
    yield
    assert not (wrong := unlike_hooks(model, maps, ["a b", "c d e"])), wrong
    yield
    maps = random_maps(maps)
    assert (off := _strip_unlike_single(model, maps)) <= 1, f"{off} of 255 off"
    yield
    assert (off := _range_unlike_hooks(model, maps)) <= 1, f"{off} of 255 off"
    yield
    with TemporaryDirectory() as folder:
        learnt = load_maps(save_maps(_learnt(model), Path(folder, "map")))
    check_fits(learnt, model)
    try:
        check_fits(learnt, model_of(name, seed=1))
    except UserError:
        yield
    else:
        raise AssertionError("maps of other weights are accepted")


def pixels(images):
    """Stack pictures as numbers from 0 to 255."""
    return np.stack([np.asarray(image) for image in images]).astype(int)


def unlike_diffusers(model, steps):
    """Return how far pictures differ from those of the pipeline's own call, 0 to 255."""
    model = model.with_denoising(num_inference_steps=steps)
    prompts, pipeline, scale = ["a b", "c d e f"], model.pipeline, model.denoising.guidance_scale
    options = {"guidance_scale": scale}
    if type(pipeline).__name__ == "QwenImagePipeline":
        options = {"true_cfg_scale": scale, "negative_prompt": [" ", " "] if scale > 1 else None}
    if type(pipeline).__name__ == "SanaSprintPipeline" and steps != 2:
        options["intermediate_timesteps"] = None
    pipeline.set_progress_bar_config(disable=True)
    expected = pipeline(
        prompt=[*prompts],
        num_inference_steps=steps,
        generator=[torch.Generator().manual_seed(seed) for seed in (3, 4)],
        height=model.size,
        width=model.size,
        **{k: v for k, v in options.items() if v is not None or k.startswith("inter")},
    ).images
    found = pixels(model.generate(prompts, seeds=[3, 4]))
    assert found.std() > 1, "the pictures are empty"
    return np.abs(found - pixels(expected)).max()


def _learnt(model):
    maps = learn(model, *_SIDES, config=LearnConfig(iterations=2, precision="float32"))
    assert set(maps) == set(model.default_modules), "modules without a map"
    assert maps.metadata["loss_start"] > 0, "the two sides give the same activations"
    return maps


def random_maps(maps, seed=0):
    """Return maps of the same modules that change pictures visibly."""
    noise = torch.Generator().manual_seed(seed)
    return SteeringMaps(
        {
            name: AffineMap(
                1 + 0.3 * torch.rand(step.width, generator=noise),
                0.3 * torch.randn(step.width, generator=noise),
            )
            for name, step in maps.items()
        }
    )


def _strip_unlike_single(model, maps):
    with steer(model.network, maps, _NINE):
        strip = pixels(model.generate(["a b"] * 9, seeds=[5] * 9))
    single = []
    for strength in _NINE:
        with fold(model.network, maps, strength):
            single += model.generate(["a b"], seeds=[5])
    plain = pixels(model.generate(["a b"], seeds=[5]))
    assert np.abs(strip[0] - strip[-1]).max() > 1, "maps have no effect"
    assert np.abs(strip[4] - plain[0]).max() <= 1, "0 is not neutral"
    return np.abs(strip - pixels(single)).max()


def _range_unlike_hooks(model, maps):
    """Return how far folded maps are from hooks at the first step alone, and at all others."""
    last, apply, applied = model.denoising.num_inference_steps - 1, AffineMap.apply, []

    def painted(act, steps):
        applied.append(0)
        with act(model.network, maps), patch.object(AffineMap, "apply", counted):
            return pixels(model.with_denoising(steer_at=steps).generate(["a b"], seeds=[5]))

    def counted(*arguments):
        applied[-1] += 1
        return apply(*arguments)

    ranges = (None, (0, last), (0, 0), (1, last))
    whole, also, *parts = (painted(steer, steps) for steps in ranges)
    assert np.abs(whole - also).max() == 0, "all steps are not all"
    assert applied[0] == applied[1] == applied[2] + applied[3], "maps act at other steps"
    assert min(applied) > 0, "maps do not act"
    folded = [painted(fold, steps) for steps in ranges[2:]]
    return max(np.abs(one - other).max() for one, other in zip(parts, folded, strict=True))


_MODULATED = (
    "Norms without parameters, whose output a Linear of the timestep modulates, stay hooks where",
    "others are folded. In the rows of that Linear the fold would be exact, but it cannot be",
    "proved on the module alone, as other folds are: in SD3.5, Qwen-Image and half of FLUX.1 the",
    "code of the block modulates, in SD3.5 and FLUX.1 with rows of a Linear inside another norm.",
    "In SANA and FLUX.2 there is no such fold: one Linear modulates all blocks, which would all",
    "get the same scale. A hook costs little there: by calculation, those of FLUX.1 move 3.2 GB a",
    "step, 1 ms of 190 ms on an H100.",
)
_LORA = (
    "LoRA files, such as those for few steps of Qwen-Image, are merged first, by diffusers with",
    "peft installed. The folder is then a model like any other:",
    "",
    "    pipeline = DiffusionPipeline.from_pretrained(MODEL, torch_dtype=torch.bfloat16)",
    "    pipeline.load_lora_weights(LORA)",
    "    pipeline.fuse_lora()",
    "    pipeline.unload_lora_weights()",
    "    pipeline.save_pretrained(FOLDER)",
)


def table(rows):
    """Format the table of docs/models.md."""
    lines = [
        PIPELINES,
        "Pipelines of diffusers, tried on tiny networks of their true classes: saved and loaded,",
        "pictures in one step and in their usual number within 1 of 255 of the pipeline's own",
        "call, a map learnt at the first and the last step, and as a mean over both, folded as",
        "it is hooked, nine strengths in one batch as each alone, acting at a range of steps,",
        "saved, checked, and refused on other weights.",
        "Written by `python -m tests.pipelines`; the slow tests try all, the others a few.",
        "",
        f"| stands for | pipeline | steps, guidance | {' | '.join(STEPS)} |",
        f"|---|---|---{'|---' * len(STEPS)}|",
        *map(_line, rows),
        "",
        *_MODULATED,
        "",
        *_LORA,
        "",
    ]
    return "\n".join(lines)


def _line(row):
    case = CASES[row.name]
    done = STEPS.index(row.step) if row.step else len(STEPS)
    cells = ["yes"] * done + [row.reason] * bool(row.step) + [""] * (len(STEPS) - done - 1)
    guidance = "none" if case.guidance is None else f"{case.guidance:g}"
    scheduler = f" with {case.scheduler}" if case.scheduler else ""
    facts = f"{case.models} | {case.kind}{scheduler} | {case.steps}, {guidance}"
    return f"| {facts} | {' | '.join(cells[: len(STEPS)])} |"


def write_section(heading, text):
    """Write a section of the page, and keep the others."""
    before, _, after = PAGE.read_text(encoding="utf-8").partition(heading)
    rest = after[after.find("\n# ") + 1 :] if "\n# " in after else ""
    sections = [part.strip() for part in (before, text, rest)]
    PAGE.write_text("\n\n".join(filter(None, sections)) + "\n", encoding="utf-8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    found = []
    for each in sys.argv[1:] or CASES:
        found.append(try_out(each))
        print(_line(found[-1]), flush=True)  # noqa: T201
    if not sys.argv[1:]:
        write_section(PIPELINES, table(found))
