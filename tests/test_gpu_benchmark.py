"""The benchmark for GPUs with tiny networks, and the graph of a decoding step.

A stand-in for a CUDA graph records the operations and repeats them in place.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import Gemma2Config, Gemma2ForCausalLM

from benchmarks.gpu import decoding_ratios, learning_ratio, picture_ratios
from benchmarks.replay import Replay
from lineas_core import SteeringMaps, steer
from lineas_core.models.continuation import Continuation
from lineas_core.steering.affine import AffineMap
from tests.fakes import tiny_image_model, tiny_language_model
from tests.tolerance import TEXT_NETWORK, tolerance

MOST = 12
NEAR = tolerance(terms=2 * TEXT_NETWORK)
INDEX = torch.ops.aten.index.Tensor
UNKNOWN = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}


class _Recording(TorchDispatchMode):
    """Like a CUDA graph: the same operations on the same memory, and nothing of Python."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        by_number = operation is INDEX and all(t.dtype != torch.bool for t in tree_leaves(args[1]))
        assert by_number or not UNKNOWN & {*operation.tags}, f"{operation} waits for the device"
        made = operation(*args, **(kwargs or {}))
        self.calls.append((operation, args, kwargs or {}, made))
        return made

    def replay(self):
        for operation, args, kwargs, made in self.calls:
            again = operation(*args, **kwargs)
            for old, new in zip(tree_leaves(made), tree_leaves(again), strict=True):
                if old.data_ptr() != new.data_ptr():  # neither a view nor written in place
                    old.copy_(new)


def _recorded(step):
    for _ in range(2):
        step()
    with _Recording() as recording:
        made = step()
    return made, recording.replay


@pytest.fixture(autouse=True)
def _as_while_capturing(monkeypatch):
    monkeypatch.setattr("transformers.masking_utils.is_tracing", lambda *_: True)


def _llama():
    return tiny_language_model().network


def _gemma():
    """A network whose windows of four tokens are shorter than the texts."""
    torch.manual_seed(0)
    config = Gemma2Config(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=4,
        initializer_range=0.2,
    )
    return Gemma2ForCausalLM(config).eval().requires_grad_(False)


def _prompts():
    ids = torch.arange(3, 21).view(3, 6)
    mask = torch.ones_like(ids)
    mask[1, :3] = 0
    return ids, mask


def _read_plainly(network, tokens):
    ids, mask = _prompts()
    continuation, made = Continuation(network), []
    for token in (None, *tokens.split(1, dim=1)):
        if token is not None:
            ids, mask = token, torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        made.append(continuation.read(ids, mask))
    return torch.stack(made)


@pytest.mark.parametrize("steered", [False, True])
@pytest.mark.parametrize("make", [_llama, _gemma])
def test_a_recorded_step_continues_texts_as_the_network_does(make, steered):
    network = make()
    tokens = torch.randint(3, 50, (3, MOST), generator=torch.Generator().manual_seed(1))
    expected = _read_plainly(network, tokens)
    maps = SteeringMaps(
        {
            f"model.layers.{k}.post_attention_layernorm": AffineMap(
                1 + 0.3 * torch.rand(32), 0.3 * torch.randn(32)
            )
            for k in range(2)
        }
    )
    with torch.no_grad(), steer(network, maps, [0.0, 0.5, -0.5] if steered else 0.0):
        if steered:
            plain, expected = expected, _read_plainly(network, tokens)
            assert not torch.allclose(plain[:, 1:], expected[:, 1:])
        replay = Replay(network, *_prompts(), MOST, _recorded)
        for _ in range(2):  # the second text over the first
            made = [replay.logits, *(replay.read(token) for token in tokens.split(1, dim=1))]
            torch.testing.assert_close(torch.stack(made), expected, **NEAR)
            with pytest.raises(IndexError):
                replay.read(tokens[:, :1])
            replay.rewind()


def test_every_ratio_of_the_benchmark_is_measured_on_the_same_result():
    text, picture = tiny_language_model(), tiny_image_model()
    made = [
        *picture_ratios(picture, 1),
        *decoding_ratios(text, 1, _recorded),
        learning_ratio(text, 4, 1),
    ]
    assert len({each.name for each in made}) == len(made) == 10
    assert all(each.ratio > 0 and each.difference < 1e-3 for each in made)
    assert not any(m._forward_hooks for m in [*text.network.modules(), *picture.network.modules()])
