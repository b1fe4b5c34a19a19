"""Counters and gauges in the text form of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from lineas_core.serving.access import App
from lineas_core.serving.engine import Engine

__all__ = ["counted", "metrics_text"]

_PATHS = ("/models", "/completions", "/chat/completions", "/health", "/metrics")


def counted(app: App, answered: Counter[tuple[str, int]]) -> App:
    """Return an app that counts the answers of another.

    Args:
        app: the app.
        answered: number of requests by path, without `/v1`, and HTTP status. All paths that do
            not exist are `other`, so that clients cannot make up metrics.
    """

    async def call(scope: Any, receive: Any, send: Any) -> None:
        asked = scope.get("path", "").removeprefix("/v1")
        path = "/models" if asked.startswith("/models/") else asked
        path = path if path in _PATHS else "other"

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                answered[path, message["status"]] += 1
            await send(message)

        await app(scope, receive, sent)

    return call


def metrics_text(engine: Engine, answered: Mapping[tuple[str, int], int]) -> str:
    """Return the metrics of an endpoint.

    Args:
        engine: the engine.
        answered: number of requests by path and HTTP status.
    """
    requests = {
        f'{{path="{path}",status="{status}"}}': count for (path, status), count in answered.items()
    }
    metrics = (
        ("requests_total", "counter", "Requests by path and HTTP status.", requests),
        ("prompt_tokens_total", "counter", "Tokens of prompts.", {"": engine.prompt_tokens}),
        ("generated_tokens_total", "counter", "Tokens written.", {"": engine.generated_tokens}),
        ("batch_rows", "gauge", "Texts in the batch.", {"": engine.rows}),
        ("queue_length", "gauge", "Texts that wait to join the batch.", {"": engine.waiting}),
    )
    lines = []
    for name, kind, about, values in metrics:
        lines += [f"# HELP lineas_{name} {about}", f"# TYPE lineas_{name} {kind}"]
        lines += [f"lineas_{name}{labels} {value}" for labels, value in values.items()]
    return "\n".join(lines) + "\n"
