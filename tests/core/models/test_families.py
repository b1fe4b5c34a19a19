import re

import diffusers
import numpy as np
import pytest
import torch

from lineas_core import AffineMap, SteeringMaps, UserError, find_modules, record, steer
from lineas_core.models import TextToImageModel
from tests.fakes import tiny_image_model, tiny_pipeline
from tests.pipelines import CASES, PAGE, model_of, pixels, random_maps, tiny, try_out

# One of each way to denoise: twice for guidance, an embedded scale, packed latents, lists.
QUICK = ("sd", "lcm", "flux-schnell", "z-image")


@pytest.mark.parametrize("name", QUICK)
def test_every_kind_of_pipeline_equals_diffusers_and_learns(name):
    row = try_out(name)
    assert (row.step, row.reason) == ("", "")


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in CASES if name not in QUICK])
def test_every_pipeline_equals_diffusers_and_learns(name):
    row = try_out(name)
    assert (row.step, row.reason) == ("", "")


def test_the_page_has_every_pipeline():
    rows = PAGE.read_text(encoding="utf-8").splitlines()
    shown = [row.split(" | ")[0][2:] for row in rows if "Pipeline" in row and row[0] == "|"]
    assert shown == [case.models for case in CASES.values()]


@pytest.mark.parametrize(
    ("scheduler", "name"),
    [("FlowMatchEulerDiscreteScheduler", "sdxl"), ("LCMScheduler", "flux-schnell")],
)
def test_a_scheduler_of_another_kind_of_pipeline_is_refused(scheduler, name):
    pipeline = tiny(name)
    pipeline.scheduler = getattr(diffusers, scheduler)()
    with pytest.raises(UserError, match=f"cannot use a {scheduler}"):
        TextToImageModel(pipeline, name="mixed")


def test_a_network_for_inpainting_is_refused():
    pipeline = tiny_pipeline()
    pipeline.unet.register_to_config(in_channels=9)
    with pytest.raises(UserError, match="takes 9 channels and returns 6"):
        TextToImageModel(pipeline, name="inpainting")


def test_pictures_that_are_not_square_are_refused():
    pipeline = tiny_pipeline()
    pipeline.default_sample_size = (8, 16)
    with pytest.raises(UserError, match="not square"):
        TextToImageModel(pipeline, name="wide")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"num_inference_steps": 0}, "num_inference_steps is 0 for tiny image. Give 1, which"),
        ({"num_inference_steps": 4}, "num_inference_steps is 4 for tiny image. Give 1, which"),
        ({"guidance_scale": -1}, "guidance_scale is -1"),
        ({"learn_at": 1}, "learn_at is 1 for tiny image. Give different steps from 0 to 0."),
        ({"learn_at": ()}, "learn_at is ()"),
        ({"learn_at": (0, 0)}, "learn_at is (0, 0)"),
    ],
)
def test_a_setting_that_a_model_does_not_have_is_refused(settings, reason):
    with pytest.raises(UserError, match=re.escape(reason)):
        tiny_image_model().with_denoising(**settings)


def test_a_network_that_was_distilled_without_guidance_takes_none():
    with pytest.raises(UserError, match="distilled without guidance"):
        model_of("flux-schnell").with_denoising(guidance_scale=2)


def test_a_model_of_the_hub_takes_the_steps_of_its_pipelines_call():
    denoising = TextToImageModel(tiny("sd"), name="stock").denoising
    assert (denoising.num_inference_steps, denoising.guidance_scale) == (50, 7.5)


def test_other_settings_leave_the_model_as_it_was():
    model = model_of("sd-turbo")
    other = model.with_denoising(num_inference_steps=2)
    assert model.denoising.num_inference_steps == 50
    assert other.network is model.network


def test_the_step_of_learning_is_that_of_the_schedule():
    model = model_of("sd").with_denoising(num_inference_steps=3)
    model.pipeline.scheduler.set_timesteps(3)
    for step, expected in enumerate(model.pipeline.scheduler.timesteps):
        inputs = model.with_denoising(learn_at=step).encode(["a", "b"])
        assert inputs.shared["timestep"] == expected
        assert len(inputs) == 2


def test_new_noise_at_a_later_step_keeps_the_prompts():
    model = model_of("sd").with_denoising(num_inference_steps=3, learn_at=2)
    inputs = model.encode(["a b", "c d"])
    other = model.with_noise(inputs, 5)
    kept, fresh = (each.arguments for each in (inputs, other))
    assert torch.equal(kept["encoder_hidden_states"], fresh["encoder_hidden_states"])
    assert not torch.equal(kept["sample"], fresh["sample"])
    again = model.with_noise(inputs.rows(torch.tensor([0])), 5)
    torch.testing.assert_close(again.arguments["sample"], fresh["sample"][:1])


def test_padding_of_a_text_and_the_text_beside_a_picture_do_not_count():
    model = model_of("flux-schnell")
    inputs = model.encode(["ab", "a longer prompt"])
    picture, text = inputs.streams.picture, inputs.streams.text.shape[1]
    assert inputs.weight_at(text).sum(dim=1).tolist() == [3, 16]  # a token for each letter
    assert inputs.weight_at(picture) is None
    joint = inputs.weight_at(text + picture)
    assert joint[:, :text].sum() == 0
    assert joint[:, text:].all()
    positions = set()
    with torch.no_grad(), record(model.network, model.default_modules) as found:
        model.forward(inputs)
    positions = {len(activation[0]) for activation in found.values()}
    assert positions == {picture, text, picture + text}


def test_what_is_padded_to_has_no_effect_on_what_is_learnt():
    model = model_of("flux-schnell")
    inputs = model.encode(["ab", "ab"])
    changed = inputs.arguments["encoder_hidden_states"].clone()
    name = find_modules(model.network, r"context_embedder")[0]
    changed[1, 3:] += 1  # behind the letters and the mark of the start
    inputs.arguments["encoder_hidden_states"] = changed
    with torch.no_grad(), record(model.network, [name]) as found:
        model.forward(inputs)
    weight = inputs.weight_at(found[name].shape[1]).unsqueeze(-1)
    kept = (found[name] * weight).sum(dim=1)
    torch.testing.assert_close(kept[0], kept[1])


def test_strengths_by_row_are_repeated_for_guidance_only():
    model = model_of("sd").with_denoising(num_inference_steps=2)
    widths = {n: len(model.network.get_submodule(n).weight) for n in model.default_modules}
    maps = random_maps(SteeringMaps({n: AffineMap.identity(w) for n, w in widths.items()}))
    with (
        steer(model.network, maps, [1.0, 0.5]),
        pytest.raises(UserError, match="2 strengths came with a batch of 4 rows"),
    ):
        model.generate(["a"] * 4, seeds=[0] * 4)
    with steer(model.network, maps, [1.0, 0.0]):
        both = pixels(model.generate(["a b"] * 2, seeds=[1, 1]))
    plain = pixels(model.generate(["a b"], seeds=[1]))
    assert np.abs(both[1] - plain[0]).max() <= 6  # a decoder in bfloat16 rounds
    assert np.abs(both[0] - plain[0]).max() > 6
