"""The tabs: each file declares components and wires events, without logic."""

__all__ = ["GALLERY", "IN_PAGE", "MODEL", "QUIET"]

QUIET = {"show_progress": "hidden", "concurrency_limit": None, "api_visibility": "private"}
"""For an event without model work: at once, without a spinner, not for programs.

Through the queue all the same: only there a notice comes without an HTTP error, and only there
the listeners of a `gr.State` hear of its change.
"""

MODEL = {"concurrency_id": "model", "concurrency_limit": 1, "api_visibility": "private"}
"""For an event that makes a model work: one at a time."""

IN_PAGE = {"queue": False, "api_visibility": "private"}
"""For an event that the page answers alone, in JavaScript."""

GALLERY = {
    "show_label": False,
    "height": "auto",
    "format": "png",
    "allow_preview": False,
    "interactive": False,
    "buttons": [],
    "container": False,
}
"""For pictures that are there to be clicked, and have no frame of their own."""
