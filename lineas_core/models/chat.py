"""Conversations in the chat template of a language model.

A conversation is a list of messages as transformers has them, `{"role": ..., "content": ...}`:
at most one of the system, then of user and assistant, the last one of the user.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import TemplateError

from lineas_core.errors import UserError, first_line

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

__all__ = [
    "Conversation",
    "Message",
    "Prompt",
    "apply_template",
    "has_template",
    "recent",
    "tokens_before",
]

Message = Mapping[str, str]
"""`role`, which is `system`, `user` or `assistant`, and `content`."""
Conversation = Sequence[Message]
"""The messages so far, the oldest first; the model answers the last one."""
Prompt = str | Conversation
"""A text, or a conversation."""
_MARK = "\ue000"  # of private use: no template has it
_ROLES = ("system", "user", "assistant")


def has_template(folder: Path | None) -> bool:
    """Return whether the tokenizer in a folder has a chat template.

    Args:
        folder: folder of a model; None if it is not on this machine.
    """
    if folder is None or (folder / "chat_template.jinja").is_file():
        return folder is not None
    try:
        return bool(json.loads((folder / "tokenizer_config.json").read_bytes())["chat_template"])
    except (OSError, ValueError, LookupError, TypeError):
        return False


def apply_template(
    tokenizer: PreTrainedTokenizerBase, name: str, prompts: Sequence[Prompt]
) -> list[str]:
    """Return each conversation as a text, followed by the start of the model's turn.

    Args:
        tokenizer: the tokenizer of the model.
        name: name of the model, for the errors.
        prompts: n conversations; a text is a conversation of one message.

    Raises:
        UserError: the tokenizer has no chat template, or it does not take a conversation.
    """
    if not tokenizer.chat_template:
        raise UserError(
            "E_CHAT",
            f"{name} has no chat template",
            remedy="Leave the chat template out, or choose an instruct model.",
        )
    talks = [
        [_user(prompt)] if isinstance(prompt, str) else _checked(prompt) for prompt in prompts
    ]
    try:
        return [
            str(tokenizer.apply_chat_template(talk, tokenize=False, add_generation_prompt=True))
            for talk in talks
        ]
    except TemplateError as error:  # such as that of a model that knows no system prompt
        raise UserError(
            "E_CHAT",
            f"the chat template of {name} does not take this conversation ({first_line(error)})",
            remedy="Leave out the system prompt, and let user and assistant alternate.",
        ) from error


def recent(
    tokenizer: PreTrainedTokenizerBase, name: str, conversation: Conversation, limit: int
) -> list[dict[str, str]]:
    """Return a conversation without the oldest turns that exceed a number of tokens.

    The system prompt and the last message are kept.

    Args:
        tokenizer: the tokenizer of the model.
        name: name of the model, for the errors.
        conversation: the messages so far.
        limit: tokens, those of the template included.

    Raises:
        UserError: the system prompt and the last message alone are too long; as `apply_template`.
    """
    talk = _checked(conversation)
    system, turns = (talk[:1], talk[1:]) if talk[0]["role"] == "system" else ([], talk)

    def size(start: int) -> int:
        (text,) = apply_template(tokenizer, name, [[*system, *turns[start:]]])
        return len(tokenizer(text, add_special_tokens=False)["input_ids"])

    # A turn begins with a message of the user.
    later = [k for k, message in enumerate(turns) if k and message["role"] == "user"]
    starts = [0, *later]
    place = bisect_left(starts, True, key=lambda start: size(start) <= limit)
    if place == len(starts):
        what = f"the message has {size(starts[-1])} tokens with its system prompt"
        raise UserError(
            "E_PROMPT",
            f"{what}, but only {max(limit, 0)} fit beside the answer",
            remedy="Shorten it, or ask for a shorter answer.",
        )
    return [*system, *turns[starts[place] :]]


def tokens_before(tokenizer: PreTrainedTokenizerBase, name: str) -> int:
    """Count the tokens of the template that come before a prompt.

    Args:
        tokenizer: the tokenizer of the model.
        name: name of the model, for the errors.
    """
    # The template has words of its own, so that a prompt cannot be looked for in it.
    before = apply_template(tokenizer, name, [_MARK])[0].partition(_MARK)[0]
    return len(tokenizer(before, add_special_tokens=False)["input_ids"])


def _user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def _checked(conversation: Conversation) -> list[dict[str, str]]:
    """Return the messages of a conversation, of any value from a caller.

    Raises:
        UserError: it is none.
    """
    remedy = 'Give messages such as {"role": "user", "content": "Hello"}, the last from the user.'
    if not conversation or not all(map(_is_message, conversation)):
        raise UserError("E_CHAT", "the conversation is not a list of messages", remedy=remedy)
    roles = [message["role"] for message in conversation]
    if "system" in roles[1:]:
        what = "a system prompt comes after other messages"
        raise UserError("E_CHAT", what, remedy="Put it first.")
    if roles[-1] != "user" or not conversation[-1]["content"].strip():
        what = f"the last message is from the {roles[-1]}"
        if roles[-1] == "user":
            what = "the last message is empty"
        raise UserError("E_CHAT", what, remedy=remedy)
    return [{"role": each["role"], "content": each["content"]} for each in conversation]


def _is_message(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and value.get("role") in _ROLES
        and isinstance(value.get("content"), str)
    )
