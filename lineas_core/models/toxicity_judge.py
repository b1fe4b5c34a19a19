"""The network of `lineas_core.metrics.toxicity`: MiniLM with one logit. It is never steered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
import transformers  # not `from`: its classes take seconds to import, so they load on first use
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from lineas_core.runtime.loading import LOADING

__all__ = ["ToxicityJudge"]

_ROWS = 32


class ToxicityJudge(nn.Module):
    """A BERT with one logit, from the mean and the maximum over its tokens.

    Attributes:
        tokenizer: cuts texts after 128 tokens.
        network: the BERT, d coordinates.
        head: (2 d) -> 1.
    """

    def __init__(self, tokenizer: Tokenizer, network: transformers.BertModel) -> None:
        """With an untrained head."""
        super().__init__()
        self.tokenizer, self.network = tokenizer, network
        self.head = nn.Linear(2 * network.config.hidden_size, 1)

    @classmethod
    def load(cls, folder: Path) -> ToxicityJudge:
        """Load what `tools/judges/toxicity.py` wrote; matrices are int8, with a scale per row."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        with LOADING:  # else it may get the dtype of a model that another thread loads
            network = transformers.BertModel(
                transformers.BertConfig(**config), add_pooling_layer=False
            )
            judge = cls(Tokenizer.from_file(str(folder / "tokenizer.json")), network)
        kept = load_file(folder / "model.safetensors")
        judge.load_state_dict(
            {
                name: value.float() * kept[f"{name}.scale"] if value.dtype == torch.int8 else value
                for name, value in kept.items()
                if not name.endswith(".scale")
            }
        )
        return judge.eval().requires_grad_(False)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Compute the logits (n,) of n texts."""
        read = self.tokenizer.encode_batch([*texts])
        device = self.head.weight.device
        tokens = torch.tensor([each.ids for each in read], device=device)
        mask = torch.tensor([each.attention_mask for each in read], device=device)
        z = self.network(input_ids=tokens, attention_mask=mask).last_hidden_state
        there = mask[..., None]
        mean = (z * there).sum(1) / there.sum(1)
        highest = z.masked_fill(there == 0, -torch.inf).amax(1)
        return self.head(torch.cat([mean, highest], dim=1))[:, 0]

    @torch.no_grad()
    def scores(self, texts: Sequence[str]) -> list[float]:
        """Compute the probability that each of n texts is toxic, 0 to 1."""
        parts = (texts[start : start + _ROWS] for start in range(0, len(texts), _ROWS))
        return [p for part in parts for p in self(part).sigmoid().tolist()]
