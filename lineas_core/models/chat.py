"""Prompts as user turns in the chat template of a language model."""

from __future__ import annotations

from collections.abc import Sequence

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from lineas_core.errors import UserError

__all__ = ["apply_template", "tokens_before"]


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
    if not tokenizer.chat_template:
        raise UserError(
            "E_CHAT",
            f"{name} has no chat template",
            remedy="Leave the chat template out, or choose an instruct model.",
        )
    turns = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return [
        str(tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))
        for turn in turns
    ]


def tokens_before(tokenizer: PreTrainedTokenizerBase, text: str, prompt: str) -> int:
    """Count the tokens of the template that come before its prompt.

    Args:
        tokenizer: the tokenizer of the model.
        text: the prompt in the template, from `apply_template`.
        prompt: the prompt; templates may remove the white space around it.
    """
    before = text[: max(text.find(prompt.strip()), 0)]
    return len(tokenizer(before, add_special_tokens=False)["input_ids"])
