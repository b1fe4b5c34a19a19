"""Counters and gauges in the text form of Prometheus."""

from __future__ import annotations

from collections.abc import Mapping

from lineas_core.serving.engine import Engine

__all__ = ["metrics_text"]


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
