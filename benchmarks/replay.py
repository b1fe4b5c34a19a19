"""A decoding step of a language model as a CUDA graph: a prototype that nothing else uses.

A graph repeats the same kernels at the same addresses without Python between them. Whatever
differs from token to token therefore lies in tensors that the step itself writes in place: the
token, its position, the mask, and the cache with the number of its columns.

n rows, t columns, v words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, StaticLayer

__all__ = ["Replay", "cuda_graph"]

Capture = Callable[[Callable[[], Tensor]], tuple[Tensor, Callable[[], object]]]
"""Records a step: function of the step that returns its result, and what repeats it in place."""


class Replay:
    """Rows of a batch that have read their prompts, and the recorded step that continues them.

    The network keeps the steering that it has while it is recorded; a move of the slider takes a
    new recording.
    """

    @torch.no_grad()
    def __init__(
        self, network: Any, ids: Tensor, mask: Tensor, most: int, capture: Capture
    ) -> None:
        """Read prompts, and record a step.

        Args:
            network: a causal language model whose layers keep keys and values only.
            ids: int64 (n, t), padded on the left.
            mask: (n, t), 0 for padding.
            most: tokens that can follow, at least as many as `capture` runs the step.
            capture: records the step.
        """
        self._network, (rows, self._start) = network, ids.shape
        count = network.config.get_text_config().num_hidden_layers
        self._most = self._left = most
        room = self._start + most
        self._cache = Cache(layers=[StaticLayer(max_cache_len=room) for _ in range(count)])
        self._prompt = mask.new_zeros(rows, room)
        self._prompt[:, : self._start] = mask
        self._mask = self._prompt.clone()
        self._ids, self._position = ids[:, -1:].clone(), mask.sum(1, keepdim=True)
        self._column = torch.tensor([self._start], device=ids.device)
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        self.logits = self._run(ids, positions)  # after the prompts, (n, v)
        self._made, self._replay = capture(self._step)
        self.rewind()

    @torch.no_grad()
    def read(self, ids: Tensor) -> Tensor:
        """Process the next token of every row.

        Args:
            ids: int64 (n, 1).

        Returns:
            The logits after it, (n, v).

        Raises:
            IndexError: there is no room for it. A graph would write beyond its cache.
        """
        if self._left == 0:
            raise IndexError("all tokens have been read; rewind")
        self._left -= 1
        self._ids.copy_(ids)
        self._replay()
        return self._made.clone()  # the next step overwrites it

    def rewind(self) -> None:
        """Forget the tokens after the prompts."""
        self._left = self._most
        self._mask.copy_(self._prompt)
        self._position.copy_(self._prompt.sum(1, keepdim=True))
        self._column.fill_(self._start)
        for layer in self._cache.layers:
            layer.cumulative_length.fill_(self._start)

    def _step(self) -> Tensor:
        self._mask.index_fill_(1, self._column, 1)
        made = self._run(self._ids, self._position)
        self._position += 1
        self._column += 1
        return made

    def _run(self, ids: Tensor, positions: Tensor) -> Tensor:
        output = self._network(
            ids,
            attention_mask=self._mask,
            position_ids=positions,
            past_key_values=self._cache,
            logits_to_keep=1,
        )
        return output.logits[:, -1]


def cuda_graph(step: Callable[[], Tensor]) -> tuple[Tensor, Callable[[], object]]:
    """Record a step as a CUDA graph, see `Capture`."""
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):  # libraries allocate their workspaces, and kernels are compiled
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, capture_error_mode="thread_local"):
        made = step()
    return made, graph.replay
