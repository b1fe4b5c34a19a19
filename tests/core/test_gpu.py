"""Results on a GPU equal those on a CPU. Skipped if there is no GPU."""

import gc
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from benchmarks.gpu import decoding_ratios, picture_ratios
from benchmarks.replay import Replay, cuda_graph
from lineas_core import (
    LearnConfig,
    SteeringMaps,
    UserError,
    fold,
    learn,
    learn_iter,
    load_maps,
    load_model,
    save_maps,
    steer,
)
from lineas_core.learning.problem import Problem
from lineas_core.methods import METHODS
from lineas_core.models import Sampling
from lineas_core.models.continuation import Continuation
from lineas_core.runtime import memory as memory_module
from lineas_core.runtime.memory import out_of_memory_as_user_error
from lineas_core.steering import fused
from tests.fakes import save_model, tiny_image_model, tiny_language_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")

SOURCE = ["a b c", "b c d", "c d e f", "d e", "e f g"]
TARGET = ["h g f", "g f e", "f e d c", "e d"]
EXACT = LearnConfig(iterations=6, precision="float32")
ALL_TOKENS = LearnConfig(iterations=6, precision="float32", pooling="all")
TWELVE = Sampling(max_new_tokens=12)


def _language(device="cuda", dtype=torch.float32):
    model = tiny_language_model()
    model.network.to(device=device, dtype=dtype)
    return model


def _image(device="cuda", dtype=torch.float32):
    model = tiny_image_model()
    model.pipeline.to(device)
    model.network.to(dtype=dtype)
    return model


MAKERS = {"language": _language, "image": _image}


def _same(maps, others, tolerance):
    assert list(maps) == list(others)
    for name in maps:
        for part in ("scale", "shift"):
            a, b = (getattr(m[name], part).cpu() for m in (maps, others))
            torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@pytest.fixture(autouse=True)
def _plain_float32():
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False  # to compare with a processor
    yield
    torch.backends.cudnn.allow_tf32 = before


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("method", [n for n, m in METHODS.items() if "text-to-image" in m.kinds])
def test_every_method_finds_the_maps_that_a_processor_finds(kind, method):
    config = EXACT if method == "lineas" else METHODS[method].config
    config = replace(config, pooling="mean")  # of two equal maxima each may be the one
    found = []
    for device in ("cuda", "cpu"):
        model = MAKERS[kind](device)
        # Fitted one after the other, maps far down amplify rounding: 1e-7 in the weights to 0.06.
        modules = model.default_modules[:4]
        learnt = METHODS[method].learn(model, SOURCE, TARGET, config=config, modules=modules)
        found.append(learnt)
    _same(*found, 5e-3)


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_a_gradient_is_that_of_a_processor(kind, pooling):
    found = []
    for device in ("cuda", "cpu"):
        config = replace(EXACT, pooling=pooling)
        problem = Problem(MAKERS[kind](device), SOURCE, TARGET, config, None)
        torch.manual_seed(0)
        parameters = 0.1 * torch.randn(problem.zeros().shape)
        parameters = parameters.to(problem.samples.device).requires_grad_()
        found.append(problem.cost_and_gradient(parameters, 0))
    for there, here in zip(*found, strict=True):
        size = here.abs().max().item()
        torch.testing.assert_close(there.cpu(), here, rtol=1e-2, atol=1e-2 * size)


def test_tokens_as_samples_of_their_own_and_chunks_and_both_ways():
    for config in (
        ALL_TOKENS,
        LearnConfig(iterations=6, precision="float32", both_ways=True),
        LearnConfig(iterations=6, precision="float32", micro_batch_size=2, sparsity=1.0),
    ):
        there, here = (
            learn(_language(device), SOURCE, TARGET, config=config, heldout=(SOURCE, TARGET))
            for device in ("cuda", "cpu")
        )
        _same(there, here, 5e-3)


@pytest.mark.parametrize("kind", MAKERS)
def test_in_bfloat16_maps_stay_float32_and_come_near(kind):
    config = LearnConfig(iterations=20)
    model = MAKERS[kind](dtype=torch.bfloat16)
    *_, last = learn_iter(model, SOURCE, TARGET, config=config)
    first = next(learn_iter(model, SOURCE, TARGET, config=config))
    assert all(m.scale.dtype == m.shift.dtype == torch.float32 for m in last.maps.values())
    assert last.loss < 0.8 * first.loss
    with fold(model.network, last.maps, 1.0):
        made = model.generate(SOURCE[:2], seeds=[1, 2])
    assert len(made) == 2


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_folding_and_hooks_and_a_strength_for_each_row_agree(kind, dtype):
    model = MAKERS[kind](dtype=dtype)
    maps = learn(MAKERS[kind](), SOURCE, TARGET, config=EXACT)
    inputs = model.encode([SOURCE[0]] * 3)
    strengths = torch.tensor([-1.0, 0.0, 0.7])
    with torch.no_grad(), fold(model.network, maps, strengths):
        rows = model.forward(inputs)
    tolerance = 1e-3 if dtype == torch.float32 else 0.1
    for row, strength in zip(rows, strengths.tolist(), strict=True):
        for way in (fold, steer):
            with torch.no_grad(), way(model.network, maps, strength):
                alone = model.forward(inputs)
            index = strengths.tolist().index(strength)
            scale = alone.abs().max().item()
            torch.testing.assert_close(row, alone[index], rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(
    ("shape", "axis", "channels_last"),
    [
        ((9, 320, 64, 64), 1, False),
        ((9, 320, 64, 64), 1, True),
        ((9, 33, 47, 51), 1, False),
        ((9, 1024, 640), -1, False),
        ((9, 777, 331), -1, False),
        ((9, 1, 2304), -1, False),
    ],
)
def test_the_fused_kernel_returns_what_torch_does(
    shape, axis, channels_last, rows, dtype, monkeypatch
):
    pytest.importorskip("triton")
    monkeypatch.setattr(fused, "_LEAST", 0)
    assert fused.prove(torch.device("cuda"), dtype)
    z = torch.randn(shape, device="cuda", dtype=dtype)
    if channels_last:
        z = z.to(memory_format=torch.channels_last)
    size = (9, z.shape[axis]) if rows else (z.shape[axis],)
    scale, shift = 1 + torch.randn(size, device="cuda"), torch.randn(size, device="cuda")
    made = fused.multiply_add(z, scale, shift, axis)
    assert made.stride() == z.stride()
    scale.requires_grad_()  # the way without the kernel
    assert torch.equal(made, fused.multiply_add(z, scale, shift, axis).detach())


@pytest.mark.parametrize("kind", MAKERS)
def test_a_network_is_steered_alike_with_and_without_the_fused_kernel(kind, monkeypatch):
    model = MAKERS[kind](dtype=torch.bfloat16)
    maps = learn(MAKERS[kind](), SOURCE, TARGET, config=EXACT)
    inputs, made = model.encode([SOURCE[0]] * 3), []
    for least in (0, 1 << 40):
        monkeypatch.setattr(fused, "_LEAST", least)
        with torch.no_grad(), steer(model.network, maps, [-1.0, 0.0, 0.7]):
            made.append(model.forward(inputs))
    assert torch.equal(*made)


@pytest.mark.parametrize("strengths", [0.0, [-0.5, 0.0, 0.5]])
def test_a_decoding_step_recorded_as_a_graph_continues_texts_as_the_network_does(strengths):
    model = _language()
    maps = learn(model, SOURCE, TARGET, config=EXACT)
    ids = torch.arange(3, 21, device="cuda").view(3, 6)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    tokens = torch.randint(3, 50, (3, 8), device="cuda").split(1, dim=1)
    with torch.no_grad(), steer(model.network, maps, strengths):
        replay, plain = (
            Replay(model.network, ids, mask, 8, cuda_graph),
            Continuation(model.network),
        )
        torch.testing.assert_close(replay.logits, plain.read(ids, mask), rtol=1e-3, atol=1e-3)
        for token in tokens:
            mask = torch.cat([mask, mask.new_ones(3, 1)], dim=1)
            expected = plain.read(token, mask)
            torch.testing.assert_close(replay.read(token), expected, rtol=1e-3, atol=1e-3)


def test_the_benchmark_for_gpus_runs():
    made = [*picture_ratios(_image(dtype=torch.bfloat16), 1)]
    made += decoding_ratios(_language(dtype=torch.bfloat16), 1, cuda_graph)
    assert len(made) == 9


def test_texts_are_those_of_a_processor():
    there, here = (
        _language(device).generate(SOURCE, seeds=range(5), sampling=TWELVE)
        for device in ("cuda", "cpu")
    )
    assert there == here


def test_pictures_are_those_of_a_processor():
    there, here = (_image(device).generate(SOURCE, seeds=range(5)) for device in ("cuda", "cpu"))
    for a, b in zip(there, here, strict=True):
        assert np.abs(np.asarray(a, dtype=int) - np.asarray(b, dtype=int)).max() <= 2


def test_likelihoods_are_those_of_a_processor():
    there, here = (
        _language(device).log_likelihood(SOURCE, ["ab", "", "cde", "f", "gh"])
        for device in ("cuda", "cpu")
    )
    torch.testing.assert_close(there, here, rtol=1e-3, atol=1e-3)


def test_maps_learnt_here_are_kept_and_steer_a_processor(tmp_path):
    maps = learn(_image(), SOURCE, TARGET, config=EXACT)
    save_maps(maps, tmp_path / "maps")
    loaded = load_maps(tmp_path / "maps")
    assert all(m.scale.device.type == "cpu" for m in loaded.values())
    there, here = _image("cuda"), _image("cpu")
    with fold(there.network, loaded, 0.5), fold(here.network, loaded, 0.5):
        pictures = [model.generate(["a b"], seeds=[1])[0] for model in (there, here)]
    a, b = (np.asarray(picture, dtype=int) for picture in pictures)
    assert np.abs(a - b).max() <= 2


def test_a_run_goes_on_from_its_state_bit_for_bit():
    iterates = [*learn_iter(_language(), SOURCE, TARGET, config=EXACT)]
    state = {k: v.cpu() for k, v in iterates[3].state.items()}
    rest = [*learn_iter(_language(), SOURCE, TARGET, config=EXACT, resume=state)]
    assert [i.loss for i in rest] == [i.loss for i in iterates[3:]]


def test_a_model_is_loaded_onto_the_gpu_in_bfloat16(tmp_path):
    for kind, maker in MAKERS.items():
        model = load_model(save_model(maker("cpu"), tmp_path / kind))
        assert (model.network.device.type, model.network.dtype) == ("cuda", torch.bfloat16)
        assert len(model.generate(["a b"], seeds=[1])) == 1


def test_text_encoders_leave_the_gpu_before_learning():
    model = _image()
    model.encode(SOURCE)
    assert model.pipeline.text_encoder_2.device.type == "cpu"


@contextmanager
def _little_left(megabytes):
    """Limit torch to this much GPU memory on top of what it has reserved."""
    gc.collect()
    torch.cuda.empty_cache()
    taken = torch.cuda.memory_reserved() + (megabytes << 20)
    torch.cuda.set_per_process_memory_fraction(
        taken / torch.cuda.get_device_properties(0).total_memory
    )
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


MANY = [f"{a} {b}" for a in "abcdefgh" for b in "abcdefgh"] * 8


def test_memory_that_runs_out_halves_the_rows_and_changes_nothing():
    config = replace(EXACT, micro_batch_size=len(MANY))
    problem = Problem(_image(), MANY, MANY[::-1], config, None)
    parameters = problem.zeros().normal_(std=0.1).requires_grad_()
    _ = problem.samples.target_rows, problem.samples.spread
    needed, whole = _peak_of(lambda: problem.cost_and_gradient(parameters, 0))
    with _little_left(int(0.75 * needed) >> 20):
        parts = problem.cost_and_gradient(parameters, 0)
    assert problem.samples.memory.micro_batch == len(MANY) // 2
    for a, b in zip(parts, whole, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-2, atol=1e-2 * b.abs().max().item())


def test_the_plan_keeps_within_the_memory_that_is_free(monkeypatch):
    def problem():
        return Problem(_image(), MANY, MANY[::-1], replace(EXACT, batch_size=512), None)

    whole = problem()
    needed, _ = _peak_of(lambda: whole.cost_and_gradient(whole.zeros().requires_grad_(), 0))
    monkeypatch.setattr(memory_module, "free_memory", lambda _: needed // 2)
    planned = problem()
    assert 1 < planned.memory.micro_batch < 512
    taken, _ = _peak_of(lambda: planned.cost_and_gradient(planned.zeros().requires_grad_(), 0))
    assert taken < needed // 2


def _peak_of(work):
    """Return the peak of additionally allocated bytes during a call, and its result."""
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    result = work()
    return torch.cuda.max_memory_allocated() - before, result


def test_memory_that_does_not_suffice_is_one_sentence():
    with (
        pytest.raises(UserError, match="not enough memory") as caught,
        out_of_memory_as_user_error(),
    ):
        torch.empty(1 << 50, dtype=torch.uint8, device="cuda")
    assert caught.value.code == "E_MEMORY"


def test_nothing_stays_behind_on_the_gpu():
    model = _language()
    model.generate(SOURCE, seeds=range(5), sampling=TWELVE)
    learn(model, SOURCE, TARGET, config=EXACT)
    gc.collect()
    before = torch.cuda.memory_allocated()
    maps = learn(model, SOURCE, TARGET, config=EXACT)
    with fold(model.network, maps, 0.5):
        model.generate(SOURCE, seeds=range(5), sampling=TWELVE)
    del maps
    gc.collect()
    assert torch.cuda.memory_allocated() <= before


def test_maps_that_are_nothing_leave_the_network_as_it_is():
    model = _image()
    inputs = model.encode(SOURCE)
    with torch.no_grad():
        plain = model.forward(inputs)
        with fold(model.network, SteeringMaps({}), 1.0):
            assert torch.equal(model.forward(inputs), plain)


def test_a_recording_that_fails_leaves_the_gpu_as_it_was():
    """Graphs stay out of the library until this passes; it comes last, in case it does not."""
    model = _language()
    ids = torch.arange(3, 21, device="cuda").view(3, 6)
    replay = partial(Replay, model.network, ids, torch.ones_like(ids), 8)
    expected = replay(cuda_graph).read(ids[:, :1])

    def waiting(step):
        return cuda_graph(lambda: (made := step()) + made.sum().item())

    for _ in range(3):
        with pytest.raises(RuntimeError):
            replay(waiting)
    before = torch.cuda.memory_allocated()
    for _ in range(3):
        held = [torch.empty(1 << 28, dtype=torch.uint8, device="cuda") for _ in range(4)]
        del held
        torch.cuda.empty_cache()
        torch.testing.assert_close(replay(cuda_graph).read(ids[:, :1]), expected)
    gc.collect()
    assert torch.cuda.memory_allocated() <= before
