"""The answers of the two endpoints that generate, whole or as chunks of a stream."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Answer", "Choice", "usage"]


@dataclass
class Choice:
    """One of the texts of an answer, as far as it has come.

    Attributes:
        text: the text.
        tokens: number of its tokens.
        finish: why it has ended, `stop` or `length`; empty if it has not.
    """

    text: str = ""
    tokens: int = 0
    finish: str = ""


@dataclass(frozen=True)
class Answer:
    """What the whole answer and all chunks of one request have in common.

    Attributes:
        model: name of the model, as the request gave it.
        chat: whether the answer is that of `/v1/chat/completions`.
        id: identifier.
        created: seconds since 1970.
    """

    model: str
    chat: bool
    id: str = field(default_factory=lambda: secrets.token_hex(12))
    created: int = field(default_factory=lambda: int(time.time()))

    def whole(self, choices: Sequence[Choice], prompt_tokens: int) -> dict[str, Any]:
        """Return the answer in one piece, not as a stream."""
        made = [self._whole(place, choice) for place, choice in enumerate(choices)]
        return {**self._head(chunk=False), "choices": made, "usage": usage(choices, prompt_tokens)}

    def begin(self, place: int) -> list[dict[str, Any]]:
        """Return the chunks with which a choice begins: in a chat, that of its role."""
        delta = {"role": "assistant", "content": ""}
        return [self._chunk([self._piece(place, {"delta": delta})])] if self.chat else []

    def piece(self, place: int, text: str, finish: str) -> list[dict[str, Any]]:
        """Return the chunks for a piece of text and, at the end, for why the text has ended."""
        chunks = []
        if text:
            part: dict[str, Any] = {"delta": {"content": text}} if self.chat else {"text": text}
            chunks.append(self._chunk([self._piece(place, part)]))
        if finish:
            part = {"delta": {}} if self.chat else {"text": ""}
            chunks.append(self._chunk([self._piece(place, part, finish)]))
        return chunks

    def end(self, choices: Sequence[Choice], prompt_tokens: int) -> dict[str, Any]:
        """Return the last chunk of a stream that includes the usage."""
        return {**self._chunk([]), "usage": usage(choices, prompt_tokens)}

    def _whole(self, place: int, choice: Choice) -> dict[str, Any]:
        message = {"role": "assistant", "content": choice.text, "refusal": None}
        part = {"message": message} if self.chat else {"text": choice.text}
        return self._piece(place, part, choice.finish)

    def _piece(self, place: int, part: dict[str, Any], finish: str = "") -> dict[str, Any]:
        return {"index": place, **part, "logprobs": None, "finish_reason": finish or None}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._head(chunk=True), "choices": choices}

    def _head(self, *, chunk: bool) -> dict[str, Any]:
        kind = "text_completion"
        if self.chat:
            kind = "chat.completion.chunk" if chunk else "chat.completion"
        prefix = "chatcmpl" if self.chat else "cmpl"
        about = {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created}
        return {**about, "model": self.model}


def usage(choices: Sequence[Choice], prompt_tokens: int) -> dict[str, int]:
    """Return the numbers of tokens of an answer."""
    generated = sum(choice.tokens for choice in choices)
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": generated,
        "total_tokens": prompt_tokens + generated,
    }
