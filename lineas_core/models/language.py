"""Causal language models from transformers: encoding, one training pass, seeded sampling.

n prompts or rows, t tokens, v words of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, AutoTokenizer, DynamicCache
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from lineas_core.errors import UserError, first_line
from lineas_core.models.base import Inputs
from lineas_core.models.sampling import Sampling, choose
from lineas_core.steering.hooks import find_modules

__all__ = ["LanguageModel"]

_MAX_TOKENS = 512
_PRESETS = ("post-layernorms", "attention-output", "all-layernorms")  # the best first
_LOGITS_AT_ONCE = 1 << 26  # a quarter of a gigabyte in float32


class LanguageModel:
    """A frozen causal language model that can be steered.

    Attributes:
        kind: `language`.
        name: catalog name, hub id or folder.
        network: the transformers model, frozen, in evaluation mode.
        tokenizer: its tokenizer.
        default_modules: the module names of its preset; none where no preset fits.
        default_pooling: the mean over tokens.
    """

    kind = "language"
    default_pooling = "mean"

    def __init__(
        self,
        network: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        name: str,
        preset: str | None = None,
    ) -> None:
        """Freeze the network and find the modules of the preset, or of the first that fits."""
        self.name = name
        self.network = network.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.default_modules = find_modules(network, preset) if preset else _fitting(network)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = tokenizer.eos_token

    @classmethod
    def load(
        cls, source: str | Path, *, name: str = "", preset: str | None = None, **options: Any
    ) -> LanguageModel:
        """Load from a local folder or a hub id; weights are read as safetensors only.

        Args:
            source: folder or hub id.
            name: what to call the model in files; the source when empty.
            preset: layer preset or pattern for `default_modules`; None takes the first that fits.
            **options: handed to `AutoModelForCausalLM.from_pretrained`, such as `dtype` and
                `device_map`; `local_files_only` holds for the tokenizer, too.

        Raises:
            UserError: the model is neither on this machine nor to be had from the hub.
        """
        try:
            offline = options.get("local_files_only", False)
            # Said outright: left out, a repository with code of its own is asked about.
            tokenizer = AutoTokenizer.from_pretrained(
                source, local_files_only=offline, trust_remote_code=False
            )
            network = AutoModelForCausalLM.from_pretrained(
                source, use_safetensors=True, trust_remote_code=False, **options
            )
        except (OSError, ValueError, SafetensorError) as error:
            raise UserError(
                "E_MODEL",
                f"the model {str(source)!r} could not be loaded ({first_line(error)})",
                remedy="Check the name, the network and, for a gated model, that you accepted "
                "its terms and ran `hf auth login`; the embedded models need neither.",
            ) from error
        return cls(network, tokenizer, name=name or str(source), preset=preset)

    def encode(self, prompts: Sequence[str]) -> Inputs:
        """Tokens, right-padded to the longest prompt and cut at 512.

        The first token never counts in pooling (unless it is alone): it serves the attention as
        a sink and has extreme values that say nothing about the prompt. Neither do the tokens
        that the tokenizer adds, nor padding.

        Raises:
            UserError: a prompt is empty.
        """
        tokens = self.tokenizer(
            list(prompts),
            padding=True,
            padding_side="right",
            truncation=True,
            max_length=_MAX_TOKENS,
            return_tensors="pt",
            return_special_tokens_mask=True,
        )
        counts = (1 - tokens["special_tokens_mask"]) * tokens["attention_mask"]
        if empty := [n for n, row in enumerate(counts, 1) if not row.any()]:
            raise UserError(
                "E_PROMPT",
                f"prompt {empty[0]} of {len(counts)} is empty",
                remedy="Write a few words, or leave it out.",
            )
        if counts.shape[1] > 1:
            counts[:, 0] *= counts[:, 1:].sum(dim=1) == 0
        device = self.network.device
        return Inputs(
            {k: tokens[k].to(device) for k in ("input_ids", "attention_mask")},
            weight=counts.to(device),
            truncated=sum(len(self.tokenizer(p)["input_ids"]) > _MAX_TOKENS for p in prompts),
        )

    def with_noise(self, inputs: Inputs, seed: int) -> Inputs:  # noqa: ARG002
        """Return the inputs as they are: a text has no starting noise."""
        return inputs

    def forward(self, inputs: Inputs) -> Tensor:
        """One pass; logits (n, t, v). A recorder with `stop` ends it before the head."""
        return self.network(**inputs.arguments, use_cache=False).logits

    def generate(
        self,
        prompts: Sequence[str],
        *,
        seeds: Sequence[int],
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> list[str]:
        """Continue every prompt; returns the continuations alone. Arguments as in `stream`."""
        *_, texts = self.stream(prompts, seeds=seeds, sampling=sampling, chat=chat)
        return texts

    def stream(
        self,
        prompts: Sequence[str],
        *,
        seeds: Sequence[int],
        sampling: Sampling = Sampling(),  # noqa: B008 - frozen
        chat: bool = False,
    ) -> Iterator[list[str]]:
        """Continue every prompt, one token per step, all rows in one batch.

        Rows with the same seed draw the same random numbers, so that an original and a steered
        row differ by the steering alone.

        Args:
            prompts: n texts to continue.
            seeds: n whole numbers.
            sampling: temperature, top k and length.
            chat: put each prompt into the model's chat template first.

        Yields:
            The n continuations so far.

        Raises:
            UserError: lengths differ, or a chat template is asked for and there is none.
        """
        for ids in self._sample(self._openings(prompts, chat), seeds, sampling):
            yield self.tokenizer.batch_decode(ids, skip_special_tokens=True)

    @torch.no_grad()
    def log_likelihood(
        self, openings: Sequence[str], continuations: Sequence[str], *, chat: bool = False
    ) -> Tensor:
        """Log-probability of every continuation after its opening, and its length in tokens.

        Args:
            openings: n texts.
            continuations: what follows each of them.
            chat: whether it followed the opening in the model's chat template.

        Returns:
            (n, 2): sum of natural log-probabilities, number of tokens; without a first token of
            the model's own, the first one of a text with no opening does not count.
        """
        texts, counts = [], []
        openings = self._worded(openings, chat)
        for opening, continuation in zip(openings, continuations, strict=True):
            start, whole = (
                self.tokenizer(text, add_special_tokens=not chat)["input_ids"]
                for text in (opening, opening + continuation)
            )
            # The first token has nothing that it could follow from.
            counts.append(max(min(len(whole) - len(start), len(whole) - 1), 0))
            texts.append(torch.tensor(whole, dtype=torch.long))
        sums = [0.0] * len(texts)
        places = max(_LOGITS_AT_ONCE // self.network.config.get_text_config().vocab_size, 1)
        # Alike in length together: padding costs as much as words.
        waiting = sorted((k, len(texts[row]), row) for row, k in enumerate(counts) if k)
        while waiting:
            longest = waiting[-1][0]
            size = max(places // longest, 1)
            rows = [row for *_, row in waiting[-size:]]
            del waiting[-size:]
            log_p = self._log_p([texts[row] for row in rows], longest)
            for row, values in zip(rows, log_p, strict=True):
                sums[row] = values[longest - counts[row] :].sum().item()
        return torch.tensor([*zip(sums, counts, strict=True)]).view(-1, 2)

    def _log_p(self, texts: Sequence[Tensor], count: int) -> Tensor:
        """Log-probability of each text's last tokens, (n, count) on the CPU."""
        device = self.network.device
        ids, mask = (
            pad_sequence(rows, batch_first=True, padding_side="left").to(device)
            for rows in ([*texts], [torch.ones_like(text) for text in texts])
        )
        # Only the logits that are asked for: the vocabulary is wide.
        output = self.network(
            ids,
            attention_mask=mask,
            position_ids=(mask.cumsum(-1) - 1).clamp(min=0),
            logits_to_keep=_ends(count + 1, ids),
            use_cache=False,
        )
        logits = output.logits[:, :-1].float()
        chosen = logits.gather(2, ids[:, -count:, None]).squeeze(2)
        return (chosen - logits.logsumexp(-1)).cpu()

    def _worded(self, prompts: Sequence[str], chat: bool) -> list[str]:
        """The prompts as the model reads them, which is in its chat template where asked for."""
        if not chat:
            return list(prompts)
        if not self.tokenizer.chat_template:
            raise UserError(
                "E_CHAT",
                f"{self.name} has no chat template",
                remedy="Continue the text instead, or choose an instruct model.",
            )
        said = partial(
            self.tokenizer.apply_chat_template, tokenize=False, add_generation_prompt=True
        )
        return [str(said([{"role": "user", "content": text}])) for text in prompts]

    def _openings(self, prompts: Sequence[str], chat: bool) -> dict[str, Tensor]:
        texts = self._worded(prompts, chat)
        if not texts:
            raise UserError("E_PROMPT", "there is no prompt", remedy="Give at least one.")
        tokens = self.tokenizer(
            texts,
            padding=True,
            padding_side="left",
            add_special_tokens=not chat,
            return_tensors="pt",
        )
        if not tokens["attention_mask"].any(dim=1).all():
            raise UserError("E_PROMPT", "the prompt is empty", remedy="Write a few words.")
        return {k: tokens[k].to(self.network.device) for k in ("input_ids", "attention_mask")}

    @torch.no_grad()
    def _sample(
        self, tokens: dict[str, Tensor], seeds: Sequence[int], sampling: Sampling
    ) -> Iterator[Tensor]:
        """Yields the new tokens so far, (n, steps so far)."""
        ids, mask = tokens["input_ids"], tokens["attention_mask"]
        if len(seeds) != len(ids):
            raise UserError(
                "E_SEED",
                f"{len(ids)} prompts came with {len(seeds)} seeds",
                remedy="Give one seed for each prompt.",
            )
        seed = torch.tensor(seeds, dtype=torch.int64, device=ids.device)
        ends = torch.tensor(_end_tokens(self.network, self.tokenizer), device=ids.device)
        done = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
        cache, new = DynamicCache(config=self.network.config), ids[:, :0]
        positions = (mask.cumsum(-1) - 1).clamp(min=0)
        last = _ends(1, ids)
        for step in range(sampling.max_new_tokens):
            logits = self.network(
                ids,
                attention_mask=mask,
                position_ids=positions,
                past_key_values=cache,
                logits_to_keep=last,
            ).logits[:, -1]
            choice = choose(logits, seed, step, sampling)
            choice = choice.masked_fill(done, self.tokenizer.pad_token_id)
            done |= torch.isin(choice, ends)
            new = torch.cat([new, choice[:, None]], dim=1)
            yield new
            if done.all():
                return
            ids, positions = choice[:, None], positions[:, -1:] + 1
            mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)


def _fitting(network: torch.nn.Module) -> list[str]:
    for preset in _PRESETS:
        with suppress(UserError):
            return find_modules(network, preset)
    return []  # to be named when something is learnt


def _ends(count: int, ids: Tensor) -> Tensor:
    """Index of the last few places, for `logits_to_keep`.

    Not a number: transformers would cut a slice, and what is not contiguous torch multiplies
    row by row, in bfloat16 on a CPU with a copy of the whole head for each.
    """
    return torch.arange(-count, 0, device=ids.device)


def _end_tokens(network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    ends = network.generation_config.eos_token_id if network.generation_config else None
    ends = ends if isinstance(ends, list) else [ends]
    return [end for end in {*ends, tokenizer.eos_token_id} if end is not None]
