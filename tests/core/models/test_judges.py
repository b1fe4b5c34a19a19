import shutil

import pytest
import torch
from transformers import RobertaConfig, RobertaForSequenceClassification

from lineas_core import UserError
from lineas_core.models import hub
from lineas_core.models.judges import load_judge
from tests.fakes import tiny_language_model
from tests.hub import Repository, serve, use


@pytest.fixture
def folder(tmp_path):
    tokenizer = tiny_language_model().tokenizer
    size = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1}
    config = RobertaConfig(vocab_size=len(tokenizer), num_attention_heads=2, **size)
    folder = tmp_path / "judge"
    RobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _weights(network):
    return torch.cat([p.flatten() for _, p in sorted(network.named_parameters())])


def test_a_judge_is_frozen_and_loaded_once(folder):
    network, _ = load_judge("roberta", str(folder))
    assert not network.training
    assert not any(p.requires_grad for p in network.parameters())
    assert load_judge("roberta", str(folder))[0] is network


def test_a_pickle_is_rewritten_and_read_as_the_same_weights(folder):
    network, _ = load_judge("roberta", str(folder))
    older = folder.with_name("older")
    shutil.copytree(folder, older)
    (older / "model.safetensors").unlink()
    # Repositories of that time keep this buffer, too.
    state = {**network.state_dict(), "roberta.embeddings.position_ids": torch.arange(9)[None]}
    torch.save(state, older / "pytorch_model.bin")
    same, _ = load_judge("roberta", str(older))
    assert torch.equal(_weights(same), _weights(network))
    assert sorted(file.name for file in older.iterdir() if "safetensors" in file.name) == []


def test_a_pickle_with_code_is_refused(folder):
    (folder / "model.safetensors").unlink()
    torch.save({"weight": print}, folder / "pytorch_model.bin")
    with pytest.raises(UserError, match="holds more than tensors"):
        load_judge("roberta", str(folder))


def test_what_is_in_the_cache_needs_no_hub(folder, monkeypatch, tmp_path):
    cache = tmp_path / "hub" / "models--some--judge"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    shutil.copytree(folder, cache / "snapshots" / ("0" * 40))
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(cache.parent))
    network, _ = load_judge("roberta", "some/judge")
    assert torch.equal(_weights(network), _weights(load_judge("roberta", str(folder))[0]))
    with pytest.raises(UserError, match="some/other: the network .* does not answer"):
        load_judge("roberta", "some/other")


@pytest.mark.parametrize("unwanted", ["README.md", "flax_model.msgpack"])
def test_what_was_downloaded_needs_no_hub_although_other_files_were_left_there(
    folder, monkeypatch, tmp_path, unwanted
):
    load_judge.cache_clear()
    (folder / unwanted).write_bytes(b"nothing that is loaded")
    load_judge.cache_clear()
    with serve({"some/judge": Repository.of(folder)}) as served:
        use(served, monkeypatch, tmp_path / "hub")
        network, _ = load_judge("roberta", "some/judge")
        assert not served.downloads(unwanted)
    load_judge.cache_clear()
    again, _ = load_judge("roberta", "some/judge")  # nothing answers any more
    assert torch.equal(_weights(again), _weights(network))
    load_judge.cache_clear()


def test_damaged_weights_are_one_sentence(folder):
    (folder / "model.safetensors").write_bytes(b"not weights")
    with pytest.raises(UserError, match="is incomplete or damaged"):
        load_judge("roberta", str(folder))
