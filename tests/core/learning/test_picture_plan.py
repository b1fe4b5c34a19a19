"""The plan for pictures is calculated from the configurations alone."""

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from lineas_core import UserError
from lineas_core.learning.plan import measure_painter
from lineas_core.models.calls import pack
from lineas_core.models.outline import outline_pictures, paints
from lineas_core.models.published import PUBLISHED
from lineas_core.models.shapes import SHAPES, factor_of, latent_shape
from tests.fakes import save_model, tiny_language_model
from tests.pipelines import PAGE, model_of

# One of each class of pipelines, and of each further input of their networks.
KINDS = (
    *("sd", "lcm", "sdxl", "flux-schnell", "flux-dev", "sd3"),
    *("sana-sprint", "z-image", "flux2-klein", "qwen-image"),
)
# Billions, from the model cards.
NETWORKS = {
    "stabilityai/sd-turbo": 0.866,
    "stabilityai/stable-diffusion-xl-base-1.0": 2.567,
    "stabilityai/sdxl-turbo": 2.567,
    "black-forest-labs/FLUX.1-schnell": 11.89,
    "black-forest-labs/FLUX.1-dev": 11.90,
    "stabilityai/stable-diffusion-3.5-large-turbo": 8.06,
    "Efficient-Large-Model/Sana_Sprint_1.6B_1024px_diffusers": 1.61,
    "Tongyi-MAI/Z-Image-Turbo": 6.15,
    "black-forest-labs/FLUX.2-klein-4B": 3.88,
    "Qwen/Qwen-Image": 20.43,
}


@pytest.mark.parametrize("name", KINDS)
def test_shapes_and_multiplications_are_those_of_a_pass_with_weights(name):
    model = model_of(name).with_denoising(num_inference_steps=2)
    inputs, kind = model.encode(["ab c"]), type(model.pipeline).__name__
    vae, shapes = model.pipeline.vae.config, SHAPES[kind]
    side = model.size // factor_of(vae)
    real = {k: v for k, v in inputs.arguments.items() if "prompt_" not in k}
    text = "cap_feats" if kind == "ZImagePipeline" else "encoder_hidden_states"
    given = shapes.arguments(model.network.config, side, real[text].shape[1])
    planned, _ = pack(given, slice(None), (*inputs.shared, "img_shapes"))
    assert {k: v.shape for k, v in planned.items()} == {k: v.shape for k, v in real.items()}
    assert latent_shape(vae, side)[-1] == side
    with torch.no_grad(), FlopCounterMode(display=False) as counted, sdpa_kernel(SDPBackend.MATH):
        model.forward(inputs)
    with torch.no_grad(), FlopCounterMode(display=False) as calculated, torch.device("meta"):
        model.network.to("meta")(
            **shapes.arguments(model.network.config, side, real[text].shape[1])
        )
    assert calculated.get_total_flops() == counted.get_total_flops()


def test_blocks_that_are_computed_again_keep_less_than_all_and_more_than_nothing():
    pipeline = model_of("flux-schnell").pipeline
    parts = {name: getattr(pipeline, name).to("meta") for name in ("transformer", "vae")}
    one = measure_painter(parts, "FluxPipeline")
    assert 0 < one.learning.kept_checkpointed < one.learning.kept
    assert one.learning.flops < one.step  # it ends after the last steered module
    assert one.network > 0
    assert one.decoder > 0
    assert one.weights == one.resident > 0


def test_pictures_that_are_not_square_have_no_plan():
    pipeline = model_of("sd").pipeline
    pipeline.unet.register_to_config(sample_size=[8, 16])
    with pytest.raises(UserError, match="not square"):
        measure_painter({"unet": pipeline.unet, "vae": pipeline.vae}, "StableDiffusionPipeline")


def test_whether_a_model_paints_is_known_without_weights(tmp_path):
    assert paints("emoji-world")
    assert paints("Qwen/Qwen-Image")
    assert not paints("gemma-2-2b")
    assert not paints(save_model(tiny_language_model(), tmp_path))


@pytest.mark.parametrize("name", ["stabilityai/sd-turbo"])
def test_a_published_pipeline_has_the_parameters_of_its_card(name):
    _check_parameters(name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in PUBLISHED if name != "stabilityai/sd-turbo"])
def test_every_published_pipeline_has_the_parameters_of_its_card(name):
    _check_parameters(name)


def _check_parameters(name):
    networks, _ = outline_pictures(name)
    network = networks["unet" if "unet" in networks else "transformer"]
    assert sum(p.numel() for p in network.parameters()) / 1e9 == pytest.approx(
        NETWORKS[name], abs=0.01
    )
    assert {p.dtype for p in networks["vae"].parameters()} == {torch.float32}


@pytest.mark.slow
def test_a_prompt_of_sdxl_needs_what_was_measured():
    one = measure_painter(*outline_pictures("dmd2"))
    assert one.learning.coordinates == 294_080
    assert 5.5 < one.learning.kept / 1e9 < 6.7  # benchmarks/README.md: about 6 GB


def test_the_page_has_every_published_pipeline():
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    assert [row.split(" | ")[0][2:] for row in rows if row[2:].startswith((*PUBLISHED,))] == [
        *PUBLISHED
    ]
