import pytest
import torch
from transformers import (
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    MambaConfig,
    MambaForCausalLM,
)

from lineas_core import UserError
from lineas_core.models.decoding import DecodingBatch, check_decodable, context_length
from tests.architectures import tiny_network
from tests.fakes import tiny_language_model
from tests.tolerance import TEXT_NETWORK, tolerance

TEXTS = [[5, 9, 11, 40, 41], [7], [3, 100, 101, 102, 60, 61, 62, 63, 64]]


def _gemma():
    """Every second layer sees a window of four tokens only."""
    config = Gemma3TextConfig(
        vocab_size=200,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=4,
        layer_types=["sliding_attention", "full_attention"] * 2,
    )
    return Gemma3ForCausalLM(config)


def _gpt2():
    config = GPT2Config(vocab_size=200, n_positions=64, n_embd=32, n_layer=2, n_head=2)
    return GPT2LMHeadModel(config)


NETWORKS = {"llama": lambda: tiny_language_model().network, "gemma": _gemma, "gpt2": _gpt2}


@pytest.fixture(params=NETWORKS)
def network(request):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return NETWORKS[request.param]().eval().requires_grad_(False)


def _begin(network, *texts):
    longest = max(map(len, texts))
    padding = [longest - len(text) for text in texts]
    batch = DecodingBatch(network, padding)
    ids = [[0] * size + text for size, text in zip(padding, texts, strict=True)]
    return batch, batch.read(torch.tensor(ids))


def _alone(network, text):
    return network(torch.tensor([text])).logits[0, -1]


def _agree(network, logits, *texts):
    wanted = torch.stack([_alone(network, text) for text in texts])
    bounds = tolerance(terms=TEXT_NETWORK, scale=wanted.abs().max())
    torch.testing.assert_close(logits, wanted, **bounds)


def test_rows_of_different_length_get_the_logits_that_each_gets_alone(network):
    texts = [*TEXTS]
    batch, logits = _begin(network, *texts)
    for step in range(6):
        _agree(network, logits, *texts)
        texts = [[*text, 20 + step] for text in texts]
        logits = batch.read(torch.full((3, 1), 20 + step))


def test_a_row_that_joins_or_leaves_changes_no_other(network):
    batch, _ = _begin(network, TEXTS[0])
    batch.read(torch.tensor([[30]]))
    longer, _ = _begin(network, TEXTS[2], TEXTS[1])
    batch.join(longer)
    logits = batch.read(torch.tensor([[31], [32], [33]]))
    grown = [[*TEXTS[0], 30, 31], [*TEXTS[2], 32], [*TEXTS[1], 33]]
    _agree(network, logits, *grown)
    batch.keep([0, 2])  # the longest row leaves, and its columns with it
    assert batch.columns == len(grown[0])
    logits = batch.read(torch.tensor([[34], [35]]))
    _agree(network, logits, [*grown[0], 34], [*grown[2], 35])


def test_a_prompt_that_is_read_in_parts_gives_the_same(network):
    batch = DecodingBatch(network, [0])
    for part in (TEXTS[2][:4], TEXTS[2][4:5], TEXTS[2][5:]):
        logits = batch.read(torch.tensor([part]))
    _agree(network, logits, TEXTS[2])


def test_a_network_whose_state_is_no_attention_is_refused():
    network = MambaForCausalLM(MambaConfig(vocab_size=50, hidden_size=16, num_hidden_layers=1))
    with pytest.raises(UserError, match="mamba cannot be continued in one batch"):
        check_decodable(network, "mamba")
    check_decodable(_gemma(), "gemma")


@pytest.mark.parametrize("kind", ["git", "openai-gpt"])
def test_a_network_that_has_to_read_everything_again_is_refused(kind):
    """GIT takes keys and values and gives other logits with them: it was wrong, silently."""
    with pytest.raises(UserError, match=f"{kind} cannot be continued in one batch"):
        check_decodable(tiny_network(kind), kind)


def test_the_context_is_that_of_the_configuration():
    assert context_length(_gpt2()) == 64
