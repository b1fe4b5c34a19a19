"""Log-probabilities of token sequences, computed in batches that bound the memory of the logits.

n texts, t tokens, v words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lineas_core.models.continuation import aligned, is_padded_harmlessly, last_positions
from lineas_core.steering.hooks import some_rows

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.modeling_utils import PreTrainedModel

__all__ = ["MAX_LOGITS", "sum_log_probabilities"]

MAX_LOGITS = 1 << 26
"""Logits in one batch, unless a single text needs more; 2^26 take 256 MB in float32."""


@torch.no_grad()
def sum_log_probabilities(
    network: PreTrainedModel, texts: Sequence[Tensor], counts: Sequence[int]
) -> list[float]:
    """Sum the log-probabilities of each text's last tokens, given all tokens before them.

    Args:
        network: a causal language model.
        texts: n token sequences, int64 (t,) each.
        counts: number of tokens to score at the end of each text, from 0 to t - 1.

    Returns:
        n sums of natural log-probabilities; 0 if no token is scored.
    """
    sums = [0.0] * len(texts)
    positions = max(MAX_LOGITS // network.config.get_text_config().vocab_size, 1)
    # Batch texts of similar length: padding tokens cost as much as real ones.
    waiting = sorted((k, len(texts[row]), row) for row, k in enumerate(counts) if k)
    mixed = len({length for _, length, _ in waiting}) > 1
    alike = mixed and not is_padded_harmlessly(network)
    while waiting:
        longest, length, _ = waiting[-1]
        size = max(positions // longest, 1)
        rows = [row for _, t, row in waiting[-size:] if t == length or not alike]
        waiting = [each for each in waiting if each[-1] not in rows]
        with some_rows(rows, len(texts)):  # strengths go by row
            log_p = _log_p(network, [texts[row] for row in rows], longest)
        for row, values in zip(rows, log_p, strict=True):
            sums[row] = values[longest - counts[row] :].sum().item()
    return sums


def _log_p(network: PreTrainedModel, texts: Sequence[Tensor], count: int) -> Tensor:
    """Return the log-probability of each text's last tokens, (n, count) on the CPU."""
    tokens = aligned(texts, 0, network.device)
    ids, mask = tokens["input_ids"], tokens["attention_mask"]
    # Compute only the requested logits: the vocabulary is large.
    output = network(
        **tokens,
        position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
        logits_to_keep=last_positions(count + 1, ids, network),
        use_cache=False,
    )
    logits = output.logits[:, :-1].float()
    chosen = logits.gather(2, ids[:, -count:, None]).squeeze(2)
    return (chosen - logits.logsumexp(-1)).cpu()
