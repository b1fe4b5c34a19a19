"""Causal language models and their tokenizers from a local folder or the hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import transformers  # not `from`: its classes take seconds to import, so each loads on first use
from safetensors import SafetensorError

from lineas_core.errors import UserError, first_line, last_line
from lineas_core.models.converted import with_safetensors
from lineas_core.models.failures import MALFORMED, has_wrong_value, own_failure
from lineas_core.models.hub import HUB_ERRORS, failure
from lineas_core.models.quantisation import NEEDS_GPU, check_gradients, check_language
from lineas_core.models.sampling import end_tokens
from lineas_core.models.sources import BIN, auto_class, check_writes
from lineas_core.models.weights import REPORT, check_weights
from lineas_core.runtime.loading import LOADING

if TYPE_CHECKING:  # its classes take seconds to import
    from transformers.modeling_utils import PreTrainedModel
    from transformers.tokenization_utils_base import PreTrainedTokenizerBase

__all__ = ["load_checkpoint", "loading_errors", "read_config", "token_for_padding"]


def load_checkpoint(
    source: str | Path, progress: Callable[[str], None] = lambda _: None, **options: Any
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer; pickled weights are converted first.

    Args:
        source: folder or hub id.
        progress: told how far the conversion is.
        **options: passed to `from_pretrained`; `local_files_only` and `revision` apply to the
            tokenizer, too.

    Raises:
        UserError: the model is neither on this machine nor available from the hub, does not
            write texts, needs a library that is not installed, or its files are damaged.
    """
    files = {k: options[k] for k in ("local_files_only", "revision") if k in options}
    with loading_errors(source, **files):
        config = read_config(source, **files)
        tokenizer = _tokenizer(source, **files)
        weights = with_safetensors(source, progress, **files)
        with LOADING:
            loaded: Any = auto_class(config).from_pretrained(
                weights, use_safetensors=True, trust_remote_code=False, **REPORT, **options
            )
    network, report = loaded
    check_weights(report, source)
    check_gradients(network.config, source, network.device.type)
    # transformers makes an empty tokenizer where the file of the vocabulary is missing.
    if len(tokenizer) < network.config.get_text_config().vocab_size / 2:
        raise _not_loaded(source, f"its tokenizer knows only {len(tokenizer)} tokens")
    return network, tokenizer


def read_config(source: str | Path, **files: Any) -> Any:
    """Read the configuration of a network that continues texts, inside `loading_errors`.

    Args:
        source: folder or hub id.
        **files: `local_files_only` and `revision`, as transformers has them.

    Raises:
        UserError: it is an encoder, has a decoder besides, or is made for something else.
    """
    # Explicit, because transformers otherwise prompts on stdin for custom code.
    config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False, **files)
    check_writes(config, source)
    check_language(getattr(config, "quantization_config", None), source)
    return config


def _tokenizer(source: str | Path, **files: Any) -> PreTrainedTokenizerBase:
    try:
        return transformers.AutoTokenizer.from_pretrained(source, trust_remote_code=False, **files)
    except (LookupError, TypeError, AttributeError) as error:  # the file is no tokenizer
        raise ValueError(f"its tokenizer cannot be read, {first_line(error)}") from error


@contextmanager
def loading_errors(source: str | Path, **files: Any) -> Iterator[None]:
    """Raise what transformers raises while it loads a model as one `UserError`.

    Args:
        source: folder or hub id.
        **files: `local_files_only` and `revision`, as transformers has them.
    """
    try:
        yield
    except (*HUB_ERRORS, SafetensorError, ImportError, RuntimeError) as error:
        if isinstance(error, UserError | torch.OutOfMemoryError):
            raise
        reason = first_line(error)
        if isinstance(error, LookupError):  # its text is the key alone
            reason = f"transformers does not know {reason}"
        raise _not_loaded(source, reason, error) from error
    except MALFORMED as error:
        if has_wrong_value(error, lambda: _own(source, files), lambda: _default(source, files)):
            reason = f"its config.json has a value of no use, {last_line(error)}"
            raise _not_loaded(source, reason) from error
        found = own_failure(error)
        if found is None:
            raise
        raise _unusable(source, *found) from error


def _own(source: str | Path, files: dict[str, Any]) -> None:
    """Build a network from the configuration of a model, with its quantisation."""
    from transformers.quantizers.auto import AutoQuantizationConfig  # takes seconds to import

    config = transformers.AutoConfig.from_pretrained(source, trust_remote_code=False, **files)
    auto_class(config).from_config(config, trust_remote_code=False)
    if settings := getattr(config, "quantization_config", None):
        AutoQuantizationConfig.from_dict(settings)


def _default(source: str | Path, files: dict[str, Any]) -> None:
    """Build a network from the defaults of the class of its configuration."""
    facts, _ = transformers.PretrainedConfig.get_config_dict(source, **files)
    config = transformers.CONFIG_MAPPING[facts["model_type"]]()
    auto_class(config).from_config(config, trust_remote_code=False)


def token_for_padding(
    network: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str
) -> str:
    """Return the token for padding, or choose one: it is masked, but no text should contain it.

    Args:
        network: the network, whose generation settings name the tokens that end a text.
        tokenizer: its tokenizer, which can lack such a token, or have one that was added to it
            and not to the network.
        name: name of the model, for the error.

    Raises:
        UserError: the tokenizer has no special token at all.
    """
    words = network.config.get_text_config().vocab_size
    known = [tokenizer.pad_token_id, *end_tokens(network, tokenizer)]
    for number in (*known, tokenizer.unk_token_id, tokenizer.bos_token_id):
        if number is not None and number < words:
            return str(tokenizer.convert_ids_to_tokens(number))
    what = f"the tokenizer of {name} has no special token that could stand for padding"
    raise UserError("E_MODEL", what, remedy="Give its tokenizer_config.json a `pad_token`.")


_CAUSES = (  # part of a message of transformers, reason (its first line if empty), remedy
    (
        "not recognize this architecture",
        f"transformers {version('transformers')} does not know its architecture",
        "Update transformers, or choose another model.",
    ),
    (
        "custom code",
        "it needs custom code",
        "Code from a model is never run; choose another model.",
    ),
    ("model_type", "its config.json names no model type of transformers", "Choose another model."),
    ("file named model.safetensors", "it has no weights in safetensors format", BIN),
    ("GPU", "", NEEDS_GPU),
)


def _not_loaded(source: str | Path, reason: str, error: Exception | None = None) -> UserError:
    """Return the error for a model that cannot be loaded, with a remedy for the cause."""
    remedy = "Check the name and the network; the embedded models need neither."
    if error is None or isinstance(error, SafetensorError) or Path(source).is_dir():
        remedy = "Its files are incomplete or damaged: delete them and download them again."
    if isinstance(error, ImportError):
        reason = reason.rstrip(".")
        remedy = "Install that package, or choose weights that do without it."
    for part, cause, what_to_do in _CAUSES:
        if part in str(error) and not isinstance(error, ImportError):
            reason, remedy = cause or reason, what_to_do
            break
    return _unusable(source, *(failure(error, source) or (reason, remedy)))


def _unusable(source: str | Path, reason: str, remedy: str) -> UserError:
    what = f"the model {str(source)!r} could not be loaded ({reason})"
    return UserError("E_MODEL", what, remedy=remedy)
