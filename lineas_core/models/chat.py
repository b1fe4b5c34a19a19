"""Prompts and conversations in the chat template of a language model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jinja2 import TemplateError
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from lineas_core.errors import UserError, first_line

__all__ = ["apply_template", "conversation", "tokens_before"]


def apply_template(
    tokenizer: PreTrainedTokenizerBase, name: str, prompts: Sequence[str]
) -> list[str]:
    """Return each prompt as a user turn, followed by the start of the model's turn.

    Args:
        tokenizer: the tokenizer of the model.
        name: name of the model, for the error.
        prompts: n texts.

    Raises:
        UserError: the tokenizer has no chat template.
    """
    _check_template(tokenizer, name)
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return [conversation(tokenizer, name, turn) for turn in turns]


def conversation(
    tokenizer: PreTrainedTokenizerBase, name: str, messages: Sequence[Mapping[str, str]]
) -> str:
    """Return the turns of a conversation, followed by the start of the model's turn.

    Args:
        tokenizer: the tokenizer of the model.
        name: name of the model, for the error.
        messages: each with a `role`, such as `user`, and a `content`.

    Raises:
        UserError: the tokenizer has no chat template, or the template refuses the messages.
    """
    _check_template(tokenizer, name)
    turns = [dict(message) for message in messages]
    try:
        text = tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    except TemplateError as error:  # such as "System role not supported"
        raise UserError(
            "E_CHAT",
            f"the chat template of {name} refuses the messages ({first_line(error)})",
            remedy="Change the roles of the messages or their order.",
        ) from error
    return str(text)


def tokens_before(tokenizer: PreTrainedTokenizerBase, text: str, prompt: str) -> int:
    """Count the tokens of the template that come before its prompt.

    Args:
        tokenizer: the tokenizer of the model.
        text: the prompt in the template, from `apply_template`.
        prompt: the prompt; templates may remove the white space around it.
    """
    before = text[: max(text.find(prompt.strip()), 0)]
    return len(tokenizer(before, add_special_tokens=False)["input_ids"])


def _check_template(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    if not tokenizer.chat_template:
        raise UserError(
            "E_CHAT",
            f"{name} has no chat template",
            remedy="Leave the chat template out, or choose an instruct model.",
        )
