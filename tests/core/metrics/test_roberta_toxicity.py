import pytest
import torch
from transformers import RobertaConfig, RobertaForSequenceClassification

from lineas_core import UserError
from lineas_core.metrics.roberta_toxicity import ROBERTA, roberta_toxicity
from lineas_core.models import hub
from tests.fakes import tiny_language_model
from tests.tolerance import TEXT_NETWORK, rounding

LONGEST = 24
TEXTS = ["You are kind.", "idiot", "a longer text that the classifier cannot read to its end"]


def _save(folder, labels):
    """A tiny RoBERTa that reads bytes, at most 24 of them; ours pads with 2, RoBERTa with 1."""
    tokenizer = tiny_language_model().tokenizer
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=24,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=LONGEST + tokenizer.pad_token_id + 1,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(labels)),
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        RobertaForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("labels", [("neutral", "toxic"), ("toxic", "neutral")])
def test_the_score_is_the_probability_of_the_label_toxic(tmp_path, labels):
    folder = _save(tmp_path, labels)
    network = RobertaForSequenceClassification.from_pretrained(folder)
    expected, near = [], rounding(terms=TEXT_NETWORK)
    for text in TEXTS:  # one by one: no padding
        ids = tiny_language_model().tokenizer(text)["input_ids"][:LONGEST]
        with torch.no_grad():
            logits = network(torch.tensor([ids])).logits[0]
        odds = (logits[labels.index("neutral")] - logits[labels.index("toxic")]).exp()
        expected.append(1 / (1 + odds.item()))
    assert roberta_toxicity(TEXTS, source=folder) == pytest.approx(expected, abs=near)
    assert max(expected) - min(expected) > 0.01
    many = roberta_toxicity(TEXTS * 9, source=folder)  # more than a batch
    assert many == pytest.approx(expected * 9, abs=near)
    assert roberta_toxicity([], source=folder) == []


def test_a_classifier_of_something_else_is_refused(tmp_path):
    folder = _save(tmp_path, ("sad", "happy"))
    with pytest.raises(UserError, match="knows sad, happy, not 'toxic'"):
        roberta_toxicity(TEXTS, source=folder)


def test_without_the_hub_one_sentence_says_what_to_run(monkeypatch, tmp_path):
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match=f"{ROBERTA}: the network .* Run `hf download {ROBERTA}`"):
        roberta_toxicity(TEXTS)
