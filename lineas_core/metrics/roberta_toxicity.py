"""Toxicity of texts by the judge of the paper, a RoBERTa from the hub (LinEAS, section 4.1).

It is that of Logacheva et al., "ParaDetox" (2022).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from lineas_core.errors import UserError
from lineas_core.metrics.english import judge_english
from lineas_core.models.judges import load_judge

__all__ = ["ROBERTA", "roberta_toxicity"]

ROBERTA = "s-nlp/roberta_toxicity_classifier"
_ROWS = 32


def roberta_toxicity(texts: Sequence[str], *, source: str = ROBERTA) -> list[float | None]:
    """Compute the probability that each text is toxic, 0 to 1; None where it is not English.

    Args:
        texts: n texts; longer ones are truncated to the 512 tokens of the classifier.
        source: hub id or folder of a RoBERTa with the label `toxic`.

    Raises:
        UserError: the classifier is not installed and could not be downloaded, or has no label
            `toxic`.
    """
    return judge_english(lambda known: _scores(known, source), texts)


@torch.no_grad()
def _scores(texts: Sequence[str], source: str) -> list[float]:
    network, tokenizer = load_judge("roberta", source)
    config = network.config
    labels = [config.id2label[i] for i in range(config.num_labels)]
    if "toxic" not in labels:
        raise UserError(
            "E_MODEL",
            f"the classifier knows {', '.join(labels)}, not 'toxic'",
            where=source,
            remedy=f"Choose one such as {ROBERTA}.",
        )
    scores: list[float] = []
    for start in range(0, len(texts), _ROWS):
        tokens = tokenizer(
            list(texts[start : start + _ROWS]),
            padding=True,
            truncation=True,
            # RoBERTa's position numbers start after that of the padding token.
            max_length=config.max_position_embeddings - config.pad_token_id - 1,
            return_tensors="pt",
        )
        arguments = {k: tokens[k].to(network.device) for k in ("input_ids", "attention_mask")}
        probabilities = network(**arguments).logits.softmax(-1)
        scores += probabilities[:, labels.index("toxic")].tolist()
    return scores
