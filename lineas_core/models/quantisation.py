"""Which quantised weights can be loaded, and learnt on."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from lineas_core.errors import UserError

__all__ = ["NEEDS_GPU", "check_gradients", "check_language", "check_pictures"]

NEEDS_GPU = "Run it on a machine with a GPU, or choose weights that are not quantised."
"""What to do about weights that a CPU cannot use."""


def check_language(settings: Any, source: str | Path) -> None:
    """Refuse a quantisation that transformers would leave out, with a warning at most.

    Args:
        settings: the `quantization_config` of a network of transformers; None if it has none.
        source: folder or hub id, for the error.

    Raises:
        UserError: transformers does not know the library.
        ValueError: they are no settings.
    """
    from transformers.quantizers import AutoHfQuantizer  # takes seconds to import

    if settings := _checked(settings):
        known = False
        with suppress(ValueError):  # no library is named, as in weights of MLX
            known = AutoHfQuantizer.supports_quant_method(settings)
        _check_known(known, settings, source, "transformers")


def check_pictures(settings: Any, source: str | Path) -> None:
    """Refuse a quantisation whose library is not installed, or that diffusers does not know.

    Args:
        settings: the `quantization_config` of a network of diffusers; None if it has none.
        source: folder or hub id, for the error.

    Raises:
        UserError: diffusers does not know the library.
        ImportError: it is not installed.
        ValueError: they are no settings.
    """
    from diffusers.quantizers import auto  # takes seconds to import

    if settings := _checked(settings):
        bitsandbytes = settings.get("load_in_4bit") or settings.get("load_in_8bit")
        known = settings.get("quant_method") in auto.AUTO_QUANTIZER_MAPPING
        _check_known(bool(known or bitsandbytes), settings, source, "diffusers")
        try:
            auto.DiffusersAutoQuantizer.from_dict(settings)
        except NotImplementedError as error:  # diffusers' for a torchao that is not installed
            raise ImportError(str(error)) from error


def check_gradients(config: Any, source: str | Path, device: str) -> None:
    """Check that maps can be learnt on quantised weights.

    On a CPU bitsandbytes packs weights of 4 bits anew at the first pass without gradients; those
    of later passes are wrong, and only torch warns (bitsandbytes 0.50, measured).

    Args:
        config: configuration of the network.
        source: folder or hub id, for the error.
        device: type of the device that computes.

    Raises:
        UserError: the gradients would be wrong.
    """
    settings = getattr(config, "quantization_config", None) or {}
    facts = settings if isinstance(settings, dict) else settings.to_dict()
    if facts.get("load_in_4bit") and device == "cpu":
        what = f"the model {str(source)!r} is quantised to 4 bits by bitsandbytes"
        what += ", whose gradients are wrong on a CPU"
        raise UserError("E_MODEL", what, remedy=NEEDS_GPU)


def _checked(settings: Any) -> dict[str, Any]:
    if not isinstance(settings or {}, dict):
        raise ValueError("the quantization_config of its config.json is a value of no use")
    return settings or {}


def _check_known(known: bool, settings: dict[str, Any], source: str | Path, by: str) -> None:
    if not known:
        library = settings.get("quant_method", "a library that it does not name")
        what = f"the model {str(source)!r} is quantised by {library}, which {by} does not know"
        raise UserError("E_MODEL", what, remedy="Choose weights that are not quantised.")
