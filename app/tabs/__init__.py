"""The tabs: each file declares components and wires events, without logic."""

__all__ = ["HEARD", "QUIET"]

QUIET = {"show_progress": "hidden", "queue": False, "api_visibility": "private"}
"""For an event without model work: at once, without a spinner, not for programs."""

HEARD = {**QUIET, "queue": True, "concurrency_limit": None}
"""Likewise where a `gr.State` changes: its listeners hear of it from the queue alone."""
