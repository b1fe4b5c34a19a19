"""The page's server also answers OpenAI's API, at `/v1`, for one language model."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.routing import Mount

from lineas_core.cli.serving import load_served
from lineas_core.serving.access import Access
from lineas_core.serving.endpoint import Endpoint

from .security import Lifespan
from .studio.models import Models

__all__ = ["with_endpoint"]


def with_endpoint(lifespan: Lifespan, models: Models, name: str, key: str) -> Lifespan:
    """Return a lifespan that also mounts the endpoint, with all ready-made maps of its model.

    Args:
        lifespan: what `guarded` returns; its guard stands before the endpoint, too.
        models: the page's models, which get one with the same weights: the page steers it one
            request at a time, the endpoint a batch.
        name: language model.
        key: what requests must send as `Authorization: Bearer KEY`; empty for none.

    Raises:
        UserError: the model cannot be loaded or served.
    """
    served = load_served(name)
    models.keep(served.model.twin())

    @asynccontextmanager
    async def both(app: Any) -> AsyncIterator[None]:
        endpoint = Endpoint(served)
        # Names and origins of requests are checked by the guard.
        app.router.routes.insert(0, Mount("/v1", Access(endpoint.api(), key, names=None)))
        try:
            async with lifespan(app):
                yield
        finally:
            endpoint.close()

    return both
