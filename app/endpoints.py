"""The arguments of a call from a program: missing ones are added, all are checked.

Gradio publishes the types of an endpoint but does not enforce them, and over plain HTTP it does
not know the defaults. Here every endpoint gets what its signature says.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from reprlib import Repr
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from lineas_core import UserError

__all__ = ["check_texts", "complete"]

_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}
_MANY = {str: "texts", int: "whole numbers", float: "numbers", list: "lists"}
_REMEDY = "“Use via API” at the foot of the page lists the arguments."
_short = Repr()
_short.maxstring = _short.maxother = 60


def complete(handler: Callable, given: Sequence[object]) -> list[object]:
    """Return the arguments of a handler, in their order, with the defaults of missing ones.

    Args:
        handler: a function with type hints; of its types texts, numbers, truth values, lists of
            these and `None` are checked.
        given: its first arguments, any values from a request. A whole number may come as a
            float, such as 3.0.

    Raises:
        UserError: there are too few or too many, or one has another type.
    """
    parameters = [*inspect.signature(handler).parameters.values()]
    needed = sum(each.default is inspect.Parameter.empty for each in parameters)
    if not needed <= len(given) <= len(parameters):
        names = ", ".join(each.name for each in parameters)
        what = f"{len(given)} arguments were given for {names or 'none'}"
        raise UserError("E_ARGUMENTS", what, remedy=f"{needed} are needed. {_REMEDY}")
    hints = get_type_hints(handler)
    checked = [
        _fitting(each.name, value, hints[each.name])
        for each, value in zip(parameters, given, strict=False)
    ]
    return [*checked, *(each.default for each in parameters[len(given) :])]


def check_texts(values: Iterable[object]) -> None:
    """Check that the texts in values from a request can be written as UTF-8.

    JSON can carry half of a surrogate pair, which no encoding of texts can.

    Raises:
        UserError: a text cannot.
    """
    pending = [*values]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += [*value, *value.values()]
        elif isinstance(value, list | tuple):
            pending += value
        elif isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                what = f"a text has an unpaired surrogate at character {error.start + 1}"
                remedy = "Send valid UTF-8."
                raise UserError("E_ENCODING", what, remedy=remedy) from None


def _fitting(name: str, value: object, hint: Any) -> Any:
    """Return a value of the type of a hint."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    if value is None and NoneType in kinds:
        return None
    kind = kinds[0]
    if (get_origin(kind) or kind) is list:
        if not isinstance(value, list | tuple):
            raise _misfit(name, value, kind)
        items = get_args(kind)
        if not items:
            return [*value]
        return [_fitting(f"{name}[{k}]", each, items[0]) for k, each in enumerate(value)]
    if kind in (int, float):
        return _number(name, value, kind)
    if not isinstance(value, kind):
        raise _misfit(name, value, kind)
    return value


def _number(name: str, value: object, kind: type) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _misfit(name, value, kind)
    if isinstance(value, int):
        return value
    if not isfinite(value) or (kind is int and not value.is_integer()):
        raise _misfit(name, value, kind)
    return kind(value)


def _misfit(name: str, value: object, kind: Any) -> UserError:
    inner = get_args(kind)
    many = _MANY[get_origin(inner[0]) or inner[0]] if inner else "values"
    wanted = _NAMES.get(kind) or f"a list of {many}"
    return UserError("E_TYPE", f"`{name}` is {_short.repr(value)}", remedy=f"Give {wanted}.")
