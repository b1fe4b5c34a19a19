from dataclasses import replace

import pytest
import torch

from lineas_core import LearnConfig, UserError, find_modules, learn_iter
from lineas_core.learning.problem import Problem
from lineas_core.runtime import memory as memory_module
from lineas_core.runtime.memory import MemoryPlan, checkpointed, out_of_memory_as_user_error
from tests.fakes import ask_for_a_petabyte, tiny_image_model, tiny_language_model

SOURCE = ["a b c", "b c d", "c d e f", "d e", "e f g"]
TARGET = ["h g f", "g f e", "f e d c", "e d"]
EXACT = LearnConfig(iterations=4, precision="float32", pooling="mean")
PRESETS = ["all-norms", "feed-forward", "attention-qk", "attention-v", "proj-in", "resnet-norms"]


@pytest.fixture(scope="module")
def image():
    return tiny_image_model()


@pytest.fixture(scope="module")
def text():
    return tiny_language_model()


def _gradient(model, config=EXACT, modules=None, checkpointing=False):
    """Cost and gradient at parameters that are not the start, where much is zero."""
    problem = Problem(model, SOURCE, TARGET, config, modules)
    problem.samples.memory.checkpointing = checkpointing
    generator = torch.Generator().manual_seed(0)
    parameters = 0.1 * torch.randn(problem.zeros().shape, generator=generator)
    return problem.cost_and_gradient(parameters.requires_grad_(), 0)


def _close(left, right):
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3 * b.abs().max().item())


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize(
    ("kind", "pooling"), [("image", "mean"), ("image", "max"), ("text", "mean"), ("text", "all")]
)
def test_chunks_give_the_gradient_of_all_rows_at_once(kind, pooling, rows, request):
    model = request.getfixturevalue(kind)
    config = replace(EXACT, pooling=pooling)
    whole = _gradient(model, config)
    _close(_gradient(model, replace(config, micro_batch_size=rows)), whole)


@pytest.mark.parametrize("preset", PRESETS)
def test_blocks_that_are_computed_again_give_the_same_gradient(image, preset):
    modules = find_modules(image.network, preset)
    for rows in (None, 2):
        config = replace(EXACT, micro_batch_size=rows)
        plain = _gradient(image, config, modules)
        again = _gradient(image, config, modules, checkpointing=True)
        assert all(torch.equal(a, b) for a, b in zip(again, plain, strict=True))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", ["image", "text"])
def test_computing_again_is_exact_in_every_precision(kind, precision, request):
    model, config = request.getfixturevalue(kind), replace(EXACT, precision=precision)
    plain = _gradient(model, config)
    again = _gradient(model, config, checkpointing=True)
    assert all(torch.equal(a, b) for a, b in zip(again, plain, strict=True))


def _kept(model):
    """Bytes that a pass keeps for its backward pass, without those that are computed again."""
    kept = []

    def pack(tensor):
        kept.append(tensor.numel() * tensor.element_size())
        return tensor

    inputs = model.encode(SOURCE)
    inputs.arguments["sample"].requires_grad_()
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        model.forward(inputs)
    return sum(kept)


def test_checkpointing_keeps_less_than_half_and_leaves_nothing_behind(image):
    before = {name: module.forward for name, module in image.network.named_modules()}
    plain = _kept(image)
    with checkpointed(image.network):
        assert _kept(image) < plain / 2
    with pytest.raises(RuntimeError), checkpointed(image.network):
        raise RuntimeError
    after = {name: module.forward for name, module in image.network.named_modules()}
    assert after == before
    assert not any("forward" in vars(module) for module in image.network.modules())


def test_a_forward_that_was_put_on_a_block_before_is_put_back(text):
    block = text.network.model.layers[0]
    own = block.forward
    block.forward = lambda *arguments, **named: own(*arguments, **named)
    try:
        before = block.forward
        with checkpointed(text.network):
            assert block.forward is not before
        assert block.forward is before
    finally:
        del block.forward


def _out_of_memory_at(monkeypatch, model, *calls, error=None):
    forward, seen = model.forward, []

    def failing(inputs):
        seen.append(len(inputs))
        if len(seen) in calls:
            raise error or torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")
        return forward(inputs)

    monkeypatch.setattr(model, "forward", failing)
    return seen


@pytest.mark.parametrize(
    "error", [None, RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError()]
)
def test_a_run_without_memory_halves_its_chunks_once_by_itself(image, monkeypatch, error):
    whole = [i.loss for i in learn_iter(image, SOURCE, TARGET, config=EXACT)]
    # The calls: one row for the names, targets, sources, then the first step.
    seen = _out_of_memory_at(monkeypatch, image, 4, error=error)
    halved = [i.loss for i in learn_iter(image, SOURCE, TARGET, config=EXACT)]
    assert seen[:4] == [1, 4, 5, 5]
    assert seen[4:10] == [2, 2, 1, 2, 2, 1]
    assert halved == pytest.approx(whole, rel=5e-2)  # Adam takes rounding for a gradient


def test_a_run_that_lacks_memory_again_says_what_to_change(image, monkeypatch):
    _out_of_memory_at(monkeypatch, image, 4, 6)
    run = learn_iter(image, SOURCE, TARGET, config=EXACT)
    with pytest.raises(UserError, match="learn with fewer modules"):
        list(run)
    assert not any(module._forward_hooks for module in image.network.modules())
    assert not any("forward" in vars(module) for module in image.network.modules())


def test_a_single_row_that_does_not_fit_has_its_blocks_computed_again():
    plan, tried = MemoryPlan(micro_batch=1), []

    def work():
        tried.append((plan.micro_batch, plan.checkpointing))
        if len(tried) == 1:
            raise MemoryError
        return "done"

    assert plan.run(4, work) == "done"
    assert tried == [(1, False), (1, True)]


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    with pytest.raises(RuntimeError, match="shape"):
        MemoryPlan().run(2, lambda: torch.ones(2).view(3))


@pytest.mark.parametrize(
    ("peaks", "free", "expected"),
    [
        ([1], 100, (32, False)),  # all prompts fit
        ([10], 100, (8, False)),  # eight of them do
        ([90, 20], 100, (4, True)),  # none does, unless blocks are computed again
        ([None, 20], 100, (4, True)),  # the very try runs out of memory
    ],
)
def test_a_gpu_takes_as_many_rows_as_it_has_memory_for(peaks, free, expected, monkeypatch):
    _gpu(monkeypatch, peaks, free)
    plan = MemoryPlan()
    plan.measure([torch.device("cuda")], 32, lambda: None)
    assert (plan.micro_batch, plan.checkpointing) == expected


def test_a_gpu_that_is_too_small_is_refused(monkeypatch):
    _gpu(monkeypatch, [None, 99], 100)
    with pytest.raises(UserError, match="not enough memory"):
        MemoryPlan().measure([torch.device("cuda")], 32, lambda: None)


def test_a_given_size_and_a_cpu_are_not_measured(monkeypatch):
    monkeypatch.setattr(memory_module, "peak_memory", None)
    given = MemoryPlan(3)
    given.measure([torch.device("cuda")], 32, lambda: None)
    assert [len(chunk) for chunk in given.chunks(8)] == [3, 3, 2]
    plan = MemoryPlan()
    plan.measure([torch.device("cpu")], 32, lambda: None)
    assert [len(chunk) for chunk in plan.chunks(8)] == [8]


def _gpu(monkeypatch, peaks, free):
    left = iter(peaks)

    def peak(_, work):
        work()
        needed = next(left)
        if needed is None:
            raise torch.OutOfMemoryError
        return needed

    monkeypatch.setattr(memory_module, "peak_memory", peak)
    monkeypatch.setattr(memory_module, "free_memory", lambda _: free)


def test_pooling_all_positions_of_modules_of_different_size_is_refused(image):
    with pytest.raises(UserError, match="pooling is 'all'"):
        _gradient(image, replace(EXACT, pooling="all"))


def test_memory_that_runs_out_anywhere_is_one_sentence():
    with pytest.raises(UserError, match="not enough memory"), out_of_memory_as_user_error():
        ask_for_a_petabyte()
    with pytest.raises(RuntimeError, match="another"), out_of_memory_as_user_error():
        raise RuntimeError("another")
