"""The tabs: each file declares components and wires events, without logic."""

__all__ = ["QUIET"]

QUIET = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
"""For an event without model work: at once, without a spinner, not for programs.

Through the queue all the same: only there a notice comes without an HTTP error, and only there
the listeners of a `gr.State` hear of its change.
"""
