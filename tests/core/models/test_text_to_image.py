import numpy as np
import pytest
import torch
from diffusers import EulerAncestralDiscreteScheduler, EulerDiscreteScheduler

from lineas_core import (
    AffineMap,
    LearnConfig,
    SteeringMaps,
    UserError,
    check_fits,
    find_modules,
    fold,
    learn,
    learn_iter,
    load_maps,
    load_model,
    record,
    save_maps,
    steer,
)
from lineas_core.models import TextToImageModel, calls, text_to_image
from lineas_core.models.layout import layout_noise
from tests.fakes import save_model, tiny_image_model, tiny_pipeline
from tests.tolerance import TEXT_NETWORK, tolerance

SOURCE = ["a b c", "b c d", "c d e", "d e f"]
TARGET = ["h g f", "g f e", "f e d", "e d c"]
SHORT = LearnConfig(iterations=15, sparsity=0, precision="float32")
SEVEN = [-1.0, -0.6, -0.3, 0.0, 0.3, 0.6, 1.0]


@pytest.fixture(scope="module")
def model():
    return tiny_image_model()


@pytest.fixture(autouse=True)
def exact_decoder(monkeypatch):
    """Decode in float32 on every processor."""
    monkeypatch.setattr(calls, "native_bfloat16", lambda _: False)


def test_in_bfloat16_a_picture_keeps_its_colours(model, monkeypatch):
    exact = model.generate(["a b c"], seeds=[7])
    monkeypatch.setattr(calls, "native_bfloat16", lambda _: True)
    difference = np.abs(_pixels(model.generate(["a b c"], seeds=[7])) - _pixels(exact))
    assert 0 < difference.mean() < 1
    assert difference.max() <= 6


def _maps(model, names=None):
    generator = torch.Generator().manual_seed(0)
    widths = {
        name: len(model.network.get_submodule(name).weight)
        for name in names or model.default_modules
    }
    return SteeringMaps(
        {
            name: AffineMap(
                1 + 0.3 * torch.rand(width, generator=generator),
                0.3 * torch.randn(width, generator=generator),
            )
            for name, width in widths.items()
        }
    )


def _pixels(images):
    return np.stack([np.asarray(image) for image in images]).astype(int)


def _same(images, others):
    """Equal up to rounding: the order of summation can depend on the batch size."""
    return np.abs(_pixels(images) - _pixels(others)).max() <= 1


def test_a_picture_is_the_one_that_the_pipeline_makes(model):
    noise = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(7))
    expected = model.pipeline(
        "a b c",
        num_inference_steps=1,
        timesteps=[399],
        guidance_scale=0,
        latents=noise,
    ).images
    images = model.generate(["a b c"], seeds=[7])
    assert images[0].size == (64, 64)
    assert np.array_equal(_pixels(images), _pixels(expected))


@pytest.mark.parametrize(
    ("scheduler", "config"),
    [
        (EulerAncestralDiscreteScheduler, {}),
        (EulerDiscreteScheduler, {"prediction_type": "sample"}),
        (EulerDiscreteScheduler, {}),
    ],
)
def test_turbo_and_lightning_s_schedulers_take_their_own_step(scheduler, config):
    pipeline = tiny_pipeline()
    pipeline.scheduler = scheduler(timestep_spacing="trailing", **config)
    model = TextToImageModel(pipeline, name="trailing")
    model = model.with_denoising(num_inference_steps=1, guidance_scale=0)
    assert model.encode(["a"]).shared["timestep"] == 999
    state = torch.get_rng_state()
    twice = [model.generate(["a b c"], seeds=[7]) for _ in range(2)]
    assert torch.equal(torch.get_rng_state(), state)
    noise = torch.randn(1, 6, 8, 8, generator=torch.Generator().manual_seed(7))
    expected = pipeline("a b c", num_inference_steps=1, guidance_scale=0, latents=noise).images
    assert np.array_equal(*map(_pixels, twice))
    assert _same(twice[0], expected)


def test_predicting_the_sample_needs_no_noise_taken_off(monkeypatch):
    model = tiny_image_model(prediction_type="sample")
    outputs, decoded, vae = [], [], model.pipeline.vae
    model.network.register_forward_hook(lambda *given: outputs.append(given[-1][0]))
    decode = vae.decode
    monkeypatch.setattr(vae, "decode", lambda z: decoded.append(z) or decode(z))
    model.generate(["a"], seeds=[0])
    latents = decoded[0] * vae.config.scaling_factor
    torch.testing.assert_close(latents, outputs[0], rtol=1e-4, atol=1e-5)


def test_layout_noise_is_four_constant_numbers_and_the_place_of_every_pixel():
    model = tiny_image_model(_one_step={"timestep": 399, "noise": "layout"})
    latents = model.encode(["a", "b"]).arguments["sample"]
    assert latents.shape == (2, 6, 8, 8)
    numbers, places = latents[:, :4], latents[:, 4:]
    assert torch.equal(numbers, numbers[:, :, :1, :1].expand_as(numbers))
    assert not torch.equal(numbers[0], numbers[1])
    assert torch.equal(places[0], places[1])
    pixels = layout_noise(torch.zeros(1, 4), 48, 16)[0, 4:].flatten(1).T
    assert len(torch.unique(pixels.round(decimals=3), dim=0)) == 256
    assert pixels.pow(2).mean() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize(
    "facts",
    [{"noise": "pink"}, {"timestep": 1000}, {"timestep": -1}, {"timestep": "399"}, ["per-pixel"]],
)
def test_a_step_that_does_not_exist_is_refused(facts):
    with pytest.raises(UserError, match="in the scheduler of tiny image"):
        tiny_image_model(_one_step=facts)


def test_a_scheduler_that_chooses_its_timestep_takes_no_other():
    pipeline = tiny_pipeline()
    pipeline.scheduler = EulerAncestralDiscreteScheduler()
    pipeline.scheduler.register_to_config(_one_step={"timestep": 399})
    with pytest.raises(UserError, match="timestep is 399, in the scheduler of ancestral"):
        TextToImageModel(pipeline, name="ancestral")


def test_the_same_seed_gives_the_same_picture_alone_or_in_a_batch(model):
    alone = model.generate(["a b c"], seeds=[7])
    batch = model.generate(["d e", "a b c", "a b c"], seeds=[7, 7, 8])
    assert _same(alone, batch[1:2])
    assert not _same(alone, batch[:1])
    assert not _same(alone, batch[2:])
    assert np.array_equal(_pixels(alone), _pixels(model.generate(["a b c"], seeds=[7])))


def test_strength_zero_is_bit_equal_and_leaves_nothing_behind(model):
    plain = model.generate(["a b c"], seeds=[7])
    with steer(model.network, _maps(model), 0.0):
        assert np.array_equal(_pixels(model.generate(["a b c"], seeds=[7])), _pixels(plain))
    with steer(model.network, _maps(model), 1.0):
        assert not _same(model.generate(["a b c"], seeds=[7]), plain)
    assert np.array_equal(_pixels(model.generate(["a b c"], seeds=[7])), _pixels(plain))


def test_a_strip_of_strengths_is_one_batch_and_equals_single_runs(model):
    maps, passes = _maps(model), []
    handle = model.network.register_forward_pre_hook(lambda *_: passes.append(1))
    with steer(model.network, maps, SEVEN):
        strip = model.generate(["a b c"] * 7, seeds=[7] * 7)
    handle.remove()
    assert len(passes) == 1
    for image, strength in zip(strip, SEVEN, strict=True):
        with steer(model.network, maps, strength):
            assert _same([image], model.generate(["a b c"], seeds=[7]))
    plain = model.generate(["a b c"] * 7, seeds=[7] * 7)
    assert np.array_equal(_pixels(strip)[3], _pixels(plain)[3])


@pytest.mark.parametrize(
    "preset",
    ["all-norms", "feed-forward", "attention-qk", "attention-v", "proj-in", "resnet-norms"],
)
@pytest.mark.parametrize("strength", [-0.5, 0.8])
def test_folded_equals_hooked_on_a_unet(model, preset, strength):
    maps = _maps(model, find_modules(model.network, preset))
    inputs = model.encode(["a b c", "d e"])
    with steer(model.network, maps, strength), torch.no_grad():
        hooked = model.forward(inputs)
    with fold(model.network, maps, strength), torch.no_grad():
        assert not any(module._forward_hooks for module in model.network.modules())
        folded = model.forward(inputs)
    torch.testing.assert_close(folded, hooked, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("preset", ["all-norms", "attention-v"])
def test_learning_reduces_the_loss_and_never_decodes(model, preset, monkeypatch):
    monkeypatch.setattr(model.pipeline.vae, "decode", _raise)
    names = find_modules(model.network, preset)
    run = list(learn_iter(model, SOURCE, TARGET, config=SHORT, modules=names))
    assert run[-1].loss < 0.8 * run[0].loss


def _raise(*_, **__):
    raise AssertionError("learning decodes")


def test_a_pass_ends_after_the_last_module(model):
    reached = []
    handle = model.network.conv_out.register_forward_pre_hook(lambda *_: reached.append(True))
    with torch.no_grad(), record(model.network, model.default_modules, stop=True) as samples:
        model.forward(model.encode(SOURCE))
    handle.remove()
    assert set(samples) == set(model.default_modules)
    assert list(samples)[-1] == "conv_norm_out"
    assert not reached


def test_learning_encodes_every_side_once(model):
    passes = []
    encoder = model.pipeline.text_encoder_2
    handle = encoder.register_forward_pre_hook(lambda *_: passes.append(1))
    learn(model, SOURCE, TARGET, config=SHORT)
    handle.remove()
    assert len(passes) == 2


def test_both_text_encoders_of_sdxl_are_heard():
    model = tiny_image_model(encoders=2)
    inputs = model.encode(["a b", "c" * 20])
    assert inputs.arguments["encoder_hidden_states"].shape == (2, 16, 32)
    assert inputs.truncated == 1
    expected, _, pooled, _ = model.pipeline.encode_prompt(
        ["a b"], do_classifier_free_guidance=False
    )
    near = tolerance(terms=TEXT_NETWORK)  # a batch of two against one of one
    torch.testing.assert_close(inputs.arguments["encoder_hidden_states"][:1], expected, **near)
    torch.testing.assert_close(
        inputs.arguments["added_cond_kwargs.text_embeds"][:1], pooled, **near
    )


def test_text_encoders_leave_the_gpu_for_learning_and_come_back(model, monkeypatch):
    places, encoder = [], model.pipeline.text_encoder_2
    monkeypatch.setattr(encoder, "to", lambda place: places.append(str(place)))
    model.encode(["a"])
    model.generate(["a"], seeds=[0])
    assert places == ["cpu", "cpu", "cpu"]
    # On a GPU these are: there, back, there again.


def test_the_rows_of_a_strip_share_one_encoding(model):
    rows = []
    handle = model.pipeline.text_encoder_2.register_forward_pre_hook(
        lambda _, args: rows.append(len(args[0]))
    )
    model.generate(["a", "b", "a", "a"], seeds=[0] * 4)
    handle.remove()
    assert rows == [2]


def test_every_row_learns_from_noise_of_its_own(model):
    sample = model.encode(["a", "a"]).arguments["sample"]
    assert not torch.equal(sample[0], sample[1])
    again = model.encode(["b", "b"]).arguments["sample"]
    assert torch.equal(sample, again)


def test_an_overlong_prompt_is_cut_and_counted(model, caplog):
    # 16 positions, two of them for the marks of start and end.
    assert model.truncated(["abcdefghijklmn", "abcdefghijklmno"]) == 1
    inputs = model.encode(["short", "a" * 100])
    assert inputs.truncated == 1
    assert inputs.arguments["encoder_hidden_states"].shape[1] == 16
    assert not caplog.records


@pytest.mark.parametrize("prompts", [[], [""], ["a", " \n"]])
def test_an_empty_prompt_is_refused(model, prompts):
    with pytest.raises(UserError, match="prompt is empty"):
        model.generate(prompts, seeds=[0] * len(prompts))
    with pytest.raises(UserError, match="prompt is empty"):
        model.encode(prompts)


def test_seeds_and_prompts_must_match(model):
    with pytest.raises(UserError, match="2 prompts came with 1 seeds"):
        model.generate(["a", "b"], seeds=[0])


def test_pictures_are_decoded_a_few_at_a_time(model, monkeypatch):
    whole = model.generate(["a", "b", "c"], seeds=[0, 1, 2])
    monkeypatch.setattr(text_to_image, "MAX_PIXELS", 64 * 64)
    decode, rows = model.pipeline.vae.decode, []
    monkeypatch.setattr(
        model.pipeline.vae, "decode", lambda z, **_: rows.append(len(z)) or decode(z)
    )
    assert _same(model.generate(["a", "b", "c"], seeds=[0, 1, 2]), whole)
    assert rows == [1, 1, 1]


def test_a_saved_pipeline_is_loaded_with_the_way_it_takes_its_step(tmp_path):
    model = tiny_image_model(_one_step={"timestep": 399, "noise": "layout"})
    loaded = load_model(save_model(model, tmp_path / "pipeline"), device="cpu")
    assert isinstance(loaded, TextToImageModel)
    assert (loaded.denoising.noise, loaded.denoising.timesteps) == ("layout", (399,))
    assert np.array_equal(
        _pixels(loaded.generate(["a b"], seeds=[1])), _pixels(model.generate(["a b"], seeds=[1]))
    )


def test_maps_are_saved_loaded_and_tied_to_their_model(model, tmp_path):
    maps = learn(model, SOURCE, TARGET, config=SHORT)
    assert maps.metadata["kind"] == "text-to-image"
    loaded = load_maps(save_maps(maps, tmp_path / "map"))
    check_fits(loaded, model)
    with steer(model.network, maps, 0.7):
        before = model.generate(["a b c"], seeds=[0])
    with steer(model.network, loaded, 0.7):
        assert np.array_equal(_pixels(model.generate(["a b c"], seeds=[0])), _pixels(before))
    other = tiny_image_model(seed=1)
    other.network.conv_norm_out.weight.data[0] = 2
    with pytest.raises(UserError, match="learnt on other weights of tiny image.*fingerprint"):
        check_fits(loaded, other)
