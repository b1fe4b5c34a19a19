"""Networks that torch has compiled, seen as they were before.

Compiled code knows nothing of hooks that come later and would silently skip them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock

import torch
from torch import nn

from lineas_core.errors import UserError

__all__ = ["children", "eager", "inside", "named_modules"]

_WRAPPED = "_orig_mod"  # the only child of what `torch.compile` returns for a module
_LOCK = Lock()
_STANCE = ExitStack()
_blocks = 0


@contextmanager
def eager() -> Iterator[None]:
    """Run compiled code eagerly while the block runs, whatever part of a network is compiled.

    torch has one stance for the whole process, so blocks of several threads that overlap share
    it: the last one to end gives it back.

    Raises:
        UserError: the block begins inside a function that is compiled.
    """
    global _blocks
    if "torch._dynamo" not in sys.modules:
        yield  # nothing is compiled
        return
    with _LOCK:
        if not _blocks:
            _STANCE.enter_context(_stance())
        _blocks += 1
    try:
        yield
    finally:
        with _LOCK:
            _blocks -= 1
            if not _blocks:
                _STANCE.close()


def _stance() -> AbstractContextManager[object]:
    try:
        if not torch.compiler.is_compiling():
            return torch.compiler.set_stance("force_eager")
    except RuntimeError:  # it runs eagerly, but what it calls will be compiled
        pass
    raise UserError(
        "E_COMPILED",
        "hooks cannot be registered inside a compiled function",
        remedy="Begin the block outside of it.",
    )


def inside(module: nn.Module) -> nn.Module:
    """Return the module that `torch.compile` was called with; others are returned as they are."""
    while _WRAPPED in getattr(module, "_modules", ()):
        module = module._modules[_WRAPPED]  # type: ignore[assignment]
    return module


def named_modules(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield names and modules as `nn.Module` does, with the names from before compiling."""
    for name, module in network.named_modules():
        parts = name.split(".")
        if parts[-1] != _WRAPPED:
            yield ".".join(part for part in parts if part != _WRAPPED), inside(module)


def children(module: nn.Module) -> list[nn.Module]:
    """Return the children of a module as they were before compiling."""
    return [inside(child) for child in module.children()]
