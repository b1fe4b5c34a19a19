"""How much of a prompt a model reads: its tokenizers cut what exceeds the context length."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import transformers  # not `from`: its classes take seconds to import, so each loads on first use

from lineas_core.models.decoding import position_limit
from lineas_core.models.hub import INDEX

__all__ = ["MAX_TOKENS", "WORDS_PER_TOKEN", "Reader", "load_reader", "silenced"]

MAX_TOKENS = 512
"""Tokens of a prompt that a language model learns from."""
_ADDED = 8  # tokens that a tokenizer adds, with room to spare
WORDS_PER_TOKEN = 0.75
"""Of English; a rough figure for people and plans."""
_TOKENIZER_LOG = "transformers.tokenization_utils_base"


class Reader:
    """What a model reads of a prompt, from its tokenizers alone."""

    def __init__(
        self,
        tokenizers: Sequence[tuple[Any, int]],
        template: Callable[[Sequence[str]], list[str]] | None = None,
    ) -> None:
        """Use the tokenizers of a model.

        Args:
            tokenizers: each with its context length in tokens.
            template: makes the texts of a chat, which have the tokens that begin a text, from
                prompts; None if the model reads prompts as they are.
        """
        self._tokenizers, self._template = tokenizers, template

    def in_chat(self, template: Callable[[Sequence[str]], list[str]]) -> Reader:
        """Return a reader of prompts in a chat template, see `__init__`."""
        return Reader(self._tokenizers, template)

    def truncated(self, prompts: Sequence[str]) -> int:
        """Count the prompts that are longer than a tokenizer's context length."""
        return sum(map(self._is_long, prompts))

    def describe(self, source: Sequence[str], target: Sequence[str] = ()) -> list[str]:
        """Say what of two sides of prompts is not read.

        Args:
            source: n prompts.
            target: m prompts; empty to describe one side alone.

        Returns:
            Up to two sentences: how many prompts are cut, and how many source prompts differ from
            target prompts only behind the cut. Empty if all prompts are read whole.
        """
        if not (cut := self.truncated([*source, *target])):
            return []
        limit = min(limit for _, limit in self._tokenizers)
        subject = "1 prompt is" if cut == 1 else f"{cut} prompts are"
        words = round(limit * WORDS_PER_TOKEN)
        sentences = [
            f"{subject} longer than the model reads ({limit} tokens, about {words} words); the "
            "rest is cut off."
        ]
        known, read = {*target}, {self._read(prompt) for prompt in target}
        if same := sum(self._read(prompt) in read for prompt in source if prompt not in known):
            subject = "1 source prompt differs" if same == 1 else f"{same} source prompts differ"
            sentences.append(
                f"{subject} from the target prompts only in what is cut off, so that the model "
                "sees no difference. Put what differs first, or shorten the prompts."
            )
        return sentences

    def _is_long(self, prompt: str) -> bool:
        least = min(limit for _, limit in self._tokenizers)
        if not self._template and len(prompt.encode("utf-8", "replace")) + _ADDED <= least:
            return False  # a token has at least one byte
        return any(len(ids) > limit for ids, limit in self._tokens(prompt))

    def _read(self, prompt: str) -> tuple[tuple[int, ...], ...]:
        """Return the tokens that each tokenizer keeps."""
        # Where a tokenizer cuts, the last token that it keeps is its end mark.
        return tuple(
            ids[: limit - 1] if len(ids) > limit else ids for ids, limit in self._tokens(prompt)
        )

    def _tokens(self, prompt: str) -> list[tuple[tuple[int, ...], int]]:
        """Return the tokens of a prompt and the context length, for each tokenizer."""
        text, special = prompt, {}
        if self._template:
            (text,), special = self._template([prompt]), {"add_special_tokens": False}
        with silenced(_TOKENIZER_LOG):  # it warns about long prompts
            return [(tuple(t(text, **special)["input_ids"]), n) for t, n in self._tokenizers]


def load_reader(folder: Path) -> Reader | None:
    """Load the tokenizers of a model without its weights.

    Args:
        folder: folder of the model.

    Returns:
        The reader; None if the model is not in this folder.
    """
    try:
        if not (folder / INDEX).is_file():
            config = transformers.AutoConfig.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            return Reader([(_tokenizer(folder), min(MAX_TOKENS, position_limit(config)))])
        encoders = [path for path in sorted(folder.glob("text_encoder*")) if path.is_dir()]
        names = [path.name.replace("text_encoder", "tokenizer") for path in encoders]
        tokenizers = [_tokenizer(folder / name) for name in names]
        configs = [json.loads((path / "config.json").read_bytes()) for path in encoders]
        limits = [
            min(tokenizer.model_max_length, config["max_position_embeddings"])
            for tokenizer, config in zip(tokenizers, configs, strict=True)
        ]
        return Reader([*zip(tokenizers, limits, strict=True)])
    except (OSError, ValueError, KeyError):
        return None


def _tokenizer(folder: Path) -> Any:
    if not folder.is_dir():  # transformers would take the path for a hub id
        raise FileNotFoundError(folder)
    return transformers.AutoTokenizer.from_pretrained(
        folder, local_files_only=True, trust_remote_code=False
    )


@contextmanager
def silenced(*names: str) -> Iterator[None]:
    """Disable the loggers with these names for the duration of the `with` block."""
    logs = [logging.getLogger(name) for name in names]
    before = [log.disabled for log in logs]
    try:
        for log in logs:
            log.disabled = True
        yield
    finally:
        for log, disabled in zip(logs, before, strict=True):
            log.disabled = disabled
