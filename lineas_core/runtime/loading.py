"""One load of a network at a time in a process."""

from threading import RLock

__all__ = ["LOADING"]

LOADING = RLock()
"""Held while transformers or diffusers load weights.

They replace methods of `PreTrainedModel` and the default dtype meanwhile, for all threads. Two
loads at once restore each other's replacements: from then on no model of the process ties the
weights of its embedding and its output, and a Gemma writes noise.
"""
