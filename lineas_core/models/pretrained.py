"""Causal language models and their tokenizers from a local folder or the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.modeling_utils import PreTrainedModel
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from lineas_core.errors import UserError, first_line
from lineas_core.models.hub import HUB_ERRORS, failure
from lineas_core.models.weights import REPORT, check_weights
from lineas_core.runtime.loading import LOADING

__all__ = ["load_checkpoint"]


def load_checkpoint(
    source: str | Path, **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer. Weights are read as safetensors only.

    Args:
        source: folder or hub id.
        **options: passed to `AutoModelForCausalLM.from_pretrained`; `local_files_only` applies to
            the tokenizer, too.

    Raises:
        UserError: the model is neither on this machine nor available from the hub, or its files
            are damaged.
    """
    try:
        offline = options.get("local_files_only", False)
        # Explicit, because transformers otherwise prompts on stdin for custom code.
        tokenizer = AutoTokenizer.from_pretrained(
            source, local_files_only=offline, trust_remote_code=False
        )
        with LOADING:
            network, report = AutoModelForCausalLM.from_pretrained(
                source, use_safetensors=True, trust_remote_code=False, **REPORT, **options
            )
    except (*HUB_ERRORS, SafetensorError) as error:
        raise _not_loaded(source, first_line(error), error) from error
    check_weights(report, source)
    # transformers makes an empty tokenizer where the file of the vocabulary is missing.
    if len(tokenizer) < network.config.get_text_config().vocab_size / 2:
        raise _not_loaded(source, f"its tokenizer knows only {len(tokenizer)} tokens")
    return network, tokenizer


def _not_loaded(source: str | Path, reason: str, error: Exception | None = None) -> UserError:
    """Return the error for a model whose files are missing or damaged."""
    remedy = "Check the name and the network; the embedded models need neither."
    if error is None or isinstance(error, SafetensorError) or Path(source).is_dir():
        remedy = "Its files are incomplete or damaged: delete them and download them again."
    reason, remedy = failure(error, source) or (reason, remedy)
    what = f"the model {str(source)!r} could not be loaded ({reason})"
    return UserError("E_MODEL", what, remedy=remedy)
