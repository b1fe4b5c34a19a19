"""Insults in texts: the bidirectional LSTM of the package `tox-block` (Bliem, 2020), offline.

Its author trained it on the 160,000 comments from Wikipedia's talk pages that people labelled for
the Toxic Comment Classification Challenge (Jigsaw, 2018). It reads words one by one from a list
of 20,000, so it knows open insults, and not what is only implied. The shipped files are made by
`tools/judges/tox_block.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from safetensors.torch import load_file
from torch import Tensor

from lineas_core.metrics.english import judge_english
from lineas_core.paths import ASSETS

__all__ = ["LABELS", "insult_labels", "insults"]

LABELS = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
"""The labels of the challenge; a comment can have several."""

_FOLDER = ASSETS / "judges" / "insults"
_PUNCTUATION = str.maketrans(dict.fromkeys('!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n', " "))
_LENGTH = 100  # words
_ROWS = 256


def insults(texts: Sequence[str]) -> list[float | None]:
    """Compute the probability that each text insults somebody, 0 to 1; None if not English."""
    return judge_english(
        lambda known: insult_labels(known)[:, LABELS.index("insult")].tolist(), texts
    )


@torch.no_grad()
def insult_labels(texts: Sequence[str]) -> Tensor:
    """Compute the probabilities (n, 6) of `LABELS`, each 0 to 1.

    Args:
        texts: n texts; of longer ones the last 100 known words are read, as in the package.
    """
    weights = _weights()
    scores = [torch.empty(0, len(LABELS))]
    for start in range(0, len(texts), _ROWS):
        rows = torch.tensor([_word_numbers(text) for text in texts[start : start + _ROWS]])
        pooled = _highest_states(weights["embedding"][rows], weights)
        hidden = (pooled @ weights["hidden.kernel"] + weights["hidden.bias"]).relu()
        scores.append((hidden @ weights["labels.kernel"] + weights["labels.bias"]).sigmoid())
    return torch.cat(scores)


def _highest_states(z: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """The maxima (n, 2 · 50) over the states of two Keras LSTMs after each of t inputs (n, t, 50).

    One reads the inputs forwards, the other backwards. Not `nn.LSTM`, whose gates are sigmoids:
    these are Keras' piecewise linear ones.
    """
    inputs = torch.stack([z, z.flip(1)]) @ weights["kernel"] + weights["bias"]
    state = cell = inputs.new_zeros(2, len(z), inputs.shape[-1] // 4)
    highest = torch.full_like(state, -1.0)
    for step in inputs.unbind(dim=2):
        gates = torch.baddbmm(step, state, weights["recurrent"])
        enter, forget, _, leave = gates.clamp(0, 1).chunk(4, dim=2)
        new = gates.chunk(4, dim=2)[2].tanh()
        cell = torch.addcmul(forget * cell, enter, new)
        state = leave * cell.tanh()
        highest = highest.maximum(state)
    return torch.cat([*highest], dim=1)


def _word_numbers(text: str) -> list[int]:
    """100 numbers of known words, padded with 0 in front."""
    index = _word_index()
    words = text.lower().translate(_PUNCTUATION).split(" ")
    numbers = [index[word] for word in words if word in index][-_LENGTH:]
    return [0] * (_LENGTH - len(numbers)) + numbers


@cache
def _word_index() -> dict[str, int]:
    words = (_FOLDER / "words.txt").read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return {word: number for number, word in enumerate(words, 1)}


@cache
def _weights() -> dict[str, Tensor]:
    """Read the weights; those of the two LSTMs are stacked, with the slope of their gates in them.

    The gates are clamp(0.2 x + 0.5, 0, 1), except for the third quarter, which is tanh(x).
    """
    weights = {name: w.float() for name, w in load_file(_FOLDER / "model.safetensors").items()}
    slope = torch.tensor([0.2, 0.2, 1.0, 0.2]).repeat_interleave(
        weights["forward.bias"].numel() // 4
    )
    middle = torch.where(slope < 1, 0.5, 0.0)
    both = {
        part: torch.stack([weights[f"{way}.{part}"] * slope for way in ("forward", "backward")])
        for part in ("kernel", "recurrent_kernel", "bias")
    }
    return weights | {
        "kernel": both["kernel"].unsqueeze(1),
        "recurrent": both["recurrent_kernel"],
        "bias": (both["bias"] + middle).view(2, 1, 1, -1),
    }
