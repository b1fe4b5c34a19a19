"""Causal language models from transformers: encoding, forward pass, generation, likelihood.

n prompts or rows, t tokens, v words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import copy, deepcopy
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lineas_core.errors import UserError
from lineas_core.models.base import Inputs
from lineas_core.models.chat import Conversation, Prompt, apply_template, recent, tokens_before
from lineas_core.models.continuation import aligned, examine
from lineas_core.models.decoding import check_tokens, context_length, position_limit
from lineas_core.models.likelihood import sum_log_probabilities
from lineas_core.models.pretrained import load_checkpoint, token_for_padding
from lineas_core.models.reading import MAX_TOKENS, Reader
from lineas_core.models.requests import check_prompts, check_seeds
from lineas_core.models.sampling import Sampling, sample_tokens
from lineas_core.prompts.errors import check_texts
from lineas_core.steering.presets import find_default, find_modules

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.modeling_utils import PreTrainedModel
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

__all__ = ["PRESETS", "LanguageModel"]

PRESETS = ("post-layernorms", "attention-output", "all-layernorms")
"""Layer presets of a model that the catalog does not know, in order of preference."""


class LanguageModel:
    """A frozen causal language model that can be steered.

    Attributes:
        kind: `language`.
        name: catalog name, hub id or folder.
        network: the transformers model, frozen, in evaluation mode.
        tokenizer: its tokenizer.
        default_modules: the module names of its preset; empty if no preset matches.
        default_pooling: `mean`, over tokens.
        keeps_layout: False; texts have none.
        reader: what it reads of a prompt.
        chat: whether `encode` takes prompts as user turns of a chat, see `as_chat`.
    """

    kind = "language"
    default_pooling = "mean"
    keeps_layout = False

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        preset: str | None = None,
    ) -> None:
        """Freeze the network and select its default modules.

        Args:
            network: the transformers model.
            tokenizer: its tokenizer.
            name: catalog name, hub id or folder.
            preset: layer preset or pattern; None takes the first preset that matches.

        Raises:
            UserError: the preset matches nothing, the network does not write texts, or the
                tokenizer has no token for padding.
        """
        self.name = name
        self.network = network.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.reader = Reader([(tokenizer, min(MAX_TOKENS, position_limit(network.config)))])
        self.chat = False
        examine(network, name)
        self.default_modules = (
            find_modules(network, preset) if preset else find_default(network, PRESETS)
        )
        tokenizer.pad_token = token_for_padding(network, tokenizer, name)

    @classmethod
    def load(
        cls, source: str | Path, *, name: str = "", preset: str | None = None, **options: Any
    ) -> LanguageModel:
        """Load a model from a local folder or the hub; pickled weights are converted first.

        Args:
            source: folder or hub id.
            name: name of the model in the files of learnt maps; the source if empty.
            preset: layer preset or pattern for `default_modules`; None takes the first preset
                that matches.
            **options: passed to `from_pretrained`, such as `dtype` and `device_map`;
                `local_files_only` applies to the tokenizer, too; and `progress`, as in
                `load_model`.

        Raises:
            UserError: the model is neither on this machine nor available from the hub, or its
                files are damaged.
        """
        network, tokenizer = load_checkpoint(source, **options)
        return cls(network, tokenizer, name=name or str(source), preset=preset)

    def as_chat(self) -> LanguageModel:
        """Return this model, with the same network, that learns from prompts as user turns.

        Raises:
            UserError: it has no chat template.
        """
        self._texts([], chat=True)
        model = copy(self)
        model.chat = True
        model.reader = self.reader.in_chat(partial(apply_template, self.tokenizer, self.name))
        return model

    def twin(self) -> LanguageModel:
        """Return a model with the same weights in memory that is steered by itself."""
        return deepcopy(self, {id(t): t for t in self.network.state_dict(keep_vars=True).values()})

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Tokenize prompts, right-padded to the longest and truncated to 512 tokens.

        The first token is excluded from pooling unless it is the only one: it serves as an
        attention sink, with extreme values that do not depend on the prompt. Padding and the
        tokens that the tokenizer adds are excluded, too, and in a chat the part of the template
        that comes before the prompt: causal attention makes it the same for all prompts.

        Args:
            prompts: n texts.

        Returns:
            `input_ids` and `attention_mask`, (n, t) each, and the pooling weight (n, t).

        Raises:
            UserError: a prompt is empty, or has a token that the network does not know.
        """
        check_texts("prompts", prompts)
        texts = self._texts(prompts, chat=self.chat)
        tokens = self.tokenizer(
            texts,
            padding=True,
            padding_side="right",
            add_special_tokens=not self.chat,
            truncation=True,
            max_length=min(MAX_TOKENS, position_limit(self.network.config)),
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        check_tokens(self.network, self.name, tokens["input_ids"])
        counts = (1 - tokens["special_tokens_mask"]) * tokens["attention_mask"]
        if self.chat:
            counts[:, : tokens_before(self.tokenizer, self.name)] = 0
        blank = [self.chat and not prompt.strip() for prompt in prompts]  # a template hides it
        if empty := [n for n, row in enumerate(counts) if blank[n] or not row.any()]:
            raise UserError(
                "E_PROMPT",
                f"prompt {empty[0] + 1} of {len(counts)} is empty",
                remedy="Write a few words, or leave it out.",
            )
        if counts.shape[1] > 1:
            counts[:, 0] *= counts[:, 1:].sum(dim=1) == 0
        device = self.network.device
        return Inputs(
            {k: tokens[k].to(device) for k in ("input_ids", "attention_mask")},
            weight=counts.to(device),
            truncated=self.reader.truncated(prompts),
        )

    def with_noise(self, inputs: Inputs, seed: int) -> Inputs:  # noqa: ARG002
        """Return the inputs as they are: a text has no starting noise."""
        return inputs

    def forward(self, inputs: Inputs) -> Tensor:
        """Run one differentiable pass and return the logits (n, t, v)."""
        return self.network(**inputs.arguments, use_cache=False).logits

    def recent(
        self, conversation: Conversation, max_new_tokens: int, context: int | None = None
    ) -> Conversation:
        """Return a conversation without its oldest turns, so that the model can answer it.

        Args:
            conversation: the messages so far, see `lineas_core.models.chat`.
            max_new_tokens: tokens that are left for the answer.
            context: tokens of conversation and answer; None takes what the model can read.

        Raises:
            UserError: the last message alone is too long; the model has no chat template.
        """
        limit = context_length(self.network)
        limit = min(context or limit, limit) - max_new_tokens
        return recent(self.tokenizer, self.name, conversation, limit)

    def generate(
        self,
        prompts: Sequence[Prompt],
        *,
        seeds: Sequence[int],
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> list[str]:
        """Return the n continuations, without their prompts; see `stream` for the arguments."""
        *_, texts = self.stream(prompts, seeds=seeds, sampling=sampling, chat=chat)
        return texts

    def stream(
        self,
        prompts: Sequence[Prompt],
        *,
        seeds: Sequence[int],
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> Iterator[list[str]]:
        """Continue every prompt, one token per step, all rows in one batch.

        Rows with the same seed use the same random noise, so that an original and a steered row
        differ by the steering alone.

        Args:
            prompts: n texts to continue, or conversations to answer.
            seeds: n integers.
            sampling: temperature, top k and maximum length.
            chat: take texts as conversations of one message, in the model's chat template.

        Yields:
            The n continuations so far.

        Raises:
            UserError: the numbers of prompts and seeds differ, a seed is no whole number, a prompt
                is empty or no text, there is none, or it is a conversation and the model has no
                chat template.
        """
        rows = [torch.tensor(tokens) for tokens in self.tokens(prompts, chat=chat)]
        check_seeds(seeds, len(prompts))
        tokens = aligned(rows, self.tokenizer.pad_token_id, self.network.device)
        check_tokens(self.network, self.name, tokens["input_ids"], sampling.max_new_tokens)
        for ids in sample_tokens(self.network, self.tokenizer, tokens, seeds, sampling):
            yield self.tokenizer.batch_decode(ids, skip_special_tokens=True)

    def tokens(self, prompts: Sequence[Prompt], *, chat: bool = False) -> list[list[int]]:
        """Return the tokens of each prompt; arguments and errors as in `stream`."""
        check_prompts(prompts)
        chat = chat or _are_conversations(prompts)
        texts = self._texts(prompts, chat=chat)
        if not texts:
            raise UserError("E_PROMPT", "there is no prompt", remedy="Give at least one.")
        tokens = self.tokenizer(texts, add_special_tokens=not chat)["input_ids"]
        blank = chat and not all(p.strip() for p in prompts if isinstance(p, str))
        if blank or not all(tokens):
            raise UserError("E_PROMPT", "the prompt is empty", remedy="Write a few words.")
        return [*tokens]

    def log_likelihood(
        self, openings: Sequence[Prompt], continuations: Sequence[str], *, chat: bool = False
    ) -> Tensor:
        """Compute the log-probability of each continuation, given its opening and its strength.

        Args:
            openings: n texts, or conversations.
            continuations: n texts that follow the openings.
            chat: as in `stream`.

        Returns:
            (n, 2) on the CPU: sum of natural log-probabilities, number of tokens. If the opening
            is empty and the tokenizer adds no first token, the first token is not scored.

        Raises:
            UserError: `chat` is set for a model without a chat template.
        """
        texts, counts = [], []
        chat = chat or _are_conversations(openings)
        begun = self._texts(openings, chat=chat)
        for opening, continuation in zip(begun, continuations, strict=True):
            start, whole = (
                self.tokenizer(text, add_special_tokens=not chat)["input_ids"]
                for text in (opening, opening + continuation)
            )
            # The first token of a text has no context, so it has no probability.
            counts.append(max(min(len(whole) - len(start), len(whole) - 1), 0))
            check_tokens(self.network, self.name, whole)
            texts.append(torch.tensor(whole, dtype=torch.long))
        sums = sum_log_probabilities(self.network, texts, counts)
        return torch.tensor([*zip(sums, counts, strict=True)]).view(-1, 2)

    def _texts(self, prompts: Sequence[Prompt], *, chat: bool) -> list[str]:
        if chat:
            return apply_template(self.tokenizer, self.name, prompts)
        return [prompt for prompt in prompts if isinstance(prompt, str)]


def _are_conversations(prompts: Sequence[Prompt]) -> bool:
    return any(not isinstance(prompt, str) for prompt in prompts)
