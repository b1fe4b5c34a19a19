"""Syntax of other programs that a model reads as plain characters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from lineas_core.prompts.errors import listed, plural

__all__ = ["describe_syntax"]

_SYNTAX = re.compile(
    r"""\([^()\n]*:\s*[\d.]+\s*\)       # weight, (word:1.2)
    | <(?:lora|lyco|hypernet):[^<>\n]*> # network, <lora:name:0.8>
    | \{[^{}\n]*\|[^{}\n]*\}            # choice, {red|blue}
    | __[\w/*-]+?__                     # wildcard, __colour__
    | (?:^|(?<=\s))\#+\s.*              # comment, # grey
    """,
    re.VERBOSE,
)


def describe_syntax(prompts: Sequence[str]) -> tuple[str, ...]:
    """Name the syntax of picture UIs in prompts, which no model here understands.

    Args:
        prompts: any prompts.

    Returns:
        One sentence that names what was found in the order of the prompts; empty if there is
        nothing.
    """
    found = [[match[0] for match in _SYNTAX.finditer(prompt)] for prompt in prompts]
    names = dict.fromkeys(name for each in found for name in each)
    if not names:
        return ()
    count = plural(sum(map(bool, found)), "prompt")
    return (f"{count} with syntax that the model reads as plain words: {listed(names)}",)
