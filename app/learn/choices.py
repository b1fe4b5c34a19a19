"""Choices of a method or a budget in the form, which answers asked for before do not undo.

A choice sets the settings of the form. So do the choice of a model and that of a prompt set, and
their answers can arrive after a later choice of a method, whose settings would be replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from ..events import LatestRequest

__all__ = ["chooses", "unless_chosen"]

_CHOICES = LatestRequest()


def chooses(handler: Callable) -> Callable:
    """Mark a handler as that of a choice."""

    @wraps(handler)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if request := LocalContext.request.get(None):
            _CHOICES.new(request)
        return handler(*args, **kwargs)

    return wrapped


def unless_chosen(settings: slice) -> Callable[[Callable], Callable]:
    """Leave settings as they are if a choice came after the request was.

    Args:
        settings: where they are among the answers of a handler.
    """

    def decorated(handler: Callable) -> Callable:
        @wraps(handler)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            request = LocalContext.request.get(None)
            number = _CHOICES.latest(request) if request else 0
            answers = handler(*args, **kwargs)
            if not request or not _CHOICES.outdated(number, request):
                return answers
            left = [*answers]
            left[settings] = [gr.skip() for _ in left[settings]]
            return tuple(left)

        return wrapped

    return decorated
