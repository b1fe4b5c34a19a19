"""Event handlers of the choice of a model in the Learn tab."""

from __future__ import annotations

from typing import Any

import gradio as gr

from lineas_core import UserError
from lineas_core.models import title_of
from lineas_core.models.catalog import MODELS
from lineas_core.runtime.memory import total_memory

from ..events import LatestRequest, changes, latest_only, user_errors
from ..html import basics
from ..html.models import facts
from ..studio.studio import Studio

__all__ = ["ModelHandlers"]

_CALLS = LatestRequest()  # of the handlers of both ways to choose a model


class ModelHandlers:
    """The event handlers of the menu of models, and of the field for any other model."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        # Looked at and chosen: a page may still send the one before when the menu changes.
        self._chosen: dict[str, None] = {}

    def initial(self) -> str:
        """Return the model of the form at first: one of the kind that the page opens on."""
        kind = self._studio.opens_on()
        return next(name for name, entry in MODELS.items() if entry.kind == kind)

    def choices(self) -> list[tuple[str, str]]:
        """List the models that this machine can run as pairs of title and name.

        They are those of the catalog, those of the maps, and those that were looked at.
        """
        own = (entry.model for entry in self._studio.maps())
        names = dict.fromkeys((*self._studio.models.catalog(), *own, *self._chosen))
        return [(title_of(name), name) for name in names]

    @latest_only(_CALLS)
    def chosen(self) -> str:
        """Remove the facts about another model; one that is being looked at is not chosen."""
        return ""

    @changes
    @latest_only(_CALLS)
    @user_errors
    def look(self, name: str | None) -> tuple[Any, str]:
        """Show what a model is and needs before it is downloaded, and choose it if it fits.

        Args:
            name: hub id, with or without a revision, folder, or catalog name.

        Returns:
            The menu of models, and the facts or the reason why it cannot be used.
        """
        models = self._studio.models
        try:
            found = models.describe((name or "").strip())
            shown = facts(found, total_memory())
            models.checked(found.name)
        except UserError as error:
            if error.code == "E_MEMORY":
                return gr.skip(), shown
            return gr.skip(), basics.warning(str(error))
        self._chosen[found.name] = None
        return gr.Dropdown(self.choices(), value=found.name), shown
