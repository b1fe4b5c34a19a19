"""The other libraries' side of `benchmarks.peers`, run by the Python of their environment.

    python -I peers_side.py MODEL PAIRS

reads a request a line, [work, arguments ...], and answers each with a line: the seconds of
processor time that the work took. A work may write its result into a safetensors file.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

_LEARNING = runpy.run_path(str(Path(__file__).parents[1] / "lineas_core/tables/peers_script.py"))


class Side:
    """A language model and the libraries; its methods are the works."""

    def __init__(self, source: str, pairs: Sequence[Sequence[str]]) -> None:
        """Load the model from a folder; `pairs` are texts, (target, source)."""
        self._model, self._tokenizer = _LEARNING["load"](source)
        self._model.generation_config.eos_token_id = None  # all texts get the same length
        self._pairs = [(target, origin) for target, origin in pairs]
        self._learnt: dict[str, Any] = {"": ({}, lambda ids: self._model(ids).logits)}

    def learn(self, library: str, modules: list[str], ids: list[int], file: str) -> None:
        """Learn vectors; writes them, and the steered logits of a text."""
        learn = _LEARNING["LEARN"][library]
        self._learnt[library] = learn(self._model, self._tokenizer, self._pairs, modules)
        vectors = {name: vector.float() for name, vector in self._learnt[library][0].items()}
        save_file({**vectors, "logits": self.read(library, ids)}, file)

    def fit(self, library: str, batch: int) -> None:
        """Learn vectors for all blocks, with a batch size."""
        if library == "repeng":
            from repeng import ControlVector, DatasetEntry

            data = [DatasetEntry(*pair) for pair in self._pairs]
            ControlVector.train(self._model, self._tokenizer, data, batch_size=batch)
        else:
            from steering_vectors import train_steering_vector

            train_steering_vector(self._model, self._tokenizer, self._pairs, batch_size=batch)

    def read(self, library: str, ids: list[int]) -> Tensor:
        """Read a text in one pass, steered by a library, or by none."""
        return self._learnt[library][1](torch.tensor([ids])).contiguous()

    def strip(self, strengths: list[float], ids: list[int], tokens: int, file: str) -> None:
        """Continue a text at each strength of what steering-vectors learns; writes the tokens."""
        from steering_vectors import train_steering_vector

        if "strip" not in self._learnt:
            vector = train_steering_vector(self._model, self._tokenizer, self._pairs)
            self._learnt["strip"] = vector
        texts = []
        for strength in strengths:
            with self._learnt["strip"].apply(self._model, multiplier=strength):
                start = torch.tensor([ids])
                written = self._model.generate(
                    start,
                    attention_mask=torch.ones_like(start),
                    max_new_tokens=tokens,
                    do_sample=False,
                    pad_token_id=0,
                )
            texts.append(written[:, len(ids) :])
        save_file({"tokens": torch.cat(texts)}, file)


@torch.no_grad()
def _main() -> None:
    side = Side(sys.argv[1], json.loads(sys.argv[2]))
    for line in sys.stdin:
        work, *arguments = json.loads(line)
        began = time.process_time()
        with redirect_stdout(sys.stderr):
            getattr(side, work)(*arguments)
        sys.stdout.write(f"{time.process_time() - began}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _main()
