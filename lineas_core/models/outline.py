"""A language model without its weights, to plan with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.modeling_utils import PreTrainedModel

from lineas_core.errors import UserError, first_line
from lineas_core.models.catalog import MODELS
from lineas_core.models.embedded import folder_of
from lineas_core.models.hub import HUB_ERRORS, failure, unreachable
from lineas_core.runtime.memory import USABLE

__all__ = ["device_for", "outline"]


def outline(name: str) -> PreTrainedModel:
    """Build a language model from its configuration on the meta device, in bfloat16.

    Args:
        name: as in `load_model`; a folder needs no other file than `config.json`.

    Raises:
        UserError: it is no language model, or its configuration cannot be read.
    """
    entry = MODELS.get(name)
    if entry and entry.painting:
        what, remedy = f"{name} paints pictures", "It fits on one GPU, see docs/gpu.md."
        raise UserError("E_MODEL", f"{what}, and the plan is for texts", remedy=remedy)
    source = (entry and entry.hub_id) or (folder_of(name) if entry else name)
    offline = not Path(source).is_dir() and unreachable()
    try:
        config = AutoConfig.from_pretrained(
            source, local_files_only=offline, trust_remote_code=False
        )
        with torch.device("meta"):
            network = AutoModelForCausalLM.from_config(
                config, dtype=torch.bfloat16, trust_remote_code=False
            )
    except HUB_ERRORS as error:
        reason, remedy = failure(error, source) or (first_line(error), "Check the name.")
        what = f"the configuration of {name!r} cannot be read ({reason})"
        raise UserError("E_MODEL", what, remedy=remedy) from error
    return network.eval().requires_grad_(False)


def device_for(name: str) -> str | None:
    """Return where `load_model` should place a model on this machine.

    Args:
        name: as in `load_model`.

    Returns:
        `auto` for a language model whose weights leave too little room on one of several GPUs,
        otherwise None.
    """
    count = torch.cuda.device_count()
    if count > 1:
        memory = min(torch.cuda.get_device_properties(n).total_memory for n in range(count))
        with suppress(UserError):  # it paints pictures, or loading it will say what is wrong
            weights = sum(p.numel() * p.element_size() for p in outline(name).parameters())
            return None if weights <= USABLE * memory else "auto"
    return None
