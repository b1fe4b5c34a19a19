"""Errors of the endpoint, in OpenAI's JSON form, and the answers with them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lineas_core.errors import UserError
from lineas_core.serving.engine import Busy

__all__ = ["ApiError", "Handler", "answering", "error_of", "not_found"]

Handler = Callable[[Request], Awaitable[Response]]
"""Answers a request."""

_log = logging.getLogger(__name__)


class ApiError(Exception):
    """A request that is answered with an error.

    Attributes:
        status: HTTP status.
        code: kind of error, such as `model_not_found`.
        param: the argument that is wrong; None if it is none of them.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Take what the answer says; the message is one sentence and what to do."""
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The answer."""
        kinds = {401: "authentication_error", 429: "rate_limit_error"}
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        error = {"message": str(self), "type": kinds.get(self.status, kind)}
        return {"error": {**error, "param": self.param, "code": self.code}}


def error_of(error: Exception) -> ApiError:
    """Return the answer to an exception; one that is no `UserError` stays unexplained."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Busy):
        headers = {"retry-after": str(error.seconds)}
        return ApiError(429, str(error), code="rate_limit_exceeded", headers=headers)
    if not isinstance(error, UserError):
        return ApiError(500, "The server has failed; its log says why.", code="internal_error")
    codes = {"E_LENGTH": "context_length_exceeded", "E_MEMORY": "out_of_memory"}
    statuses = {"E_MEMORY": 503, "E_STOPPED": 503}
    code = codes.get(error.code, error.code.removeprefix("E_").lower())
    return ApiError(statuses.get(error.code, 400), str(error), code=code)


def answering(handler: Handler) -> Handler:
    """Return a handler that also answers where another raises an exception."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - every error is answered
            return _answer(error)

    return handle


def _answer(error: Exception) -> JSONResponse:
    known = error_of(error)
    if known.status == 500:
        _log.exception("internal error", exc_info=error)
    headers = {**known.headers}
    if known.status in (408, 413, 415):
        headers["connection"] = "close"  # the body is not read to its end
    return JSONResponse(known.body, known.status, headers)


async def not_found(request: Request, error: Exception) -> Response:
    """Answer a request to an address that does not exist, or with another method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = "no such endpoint" if status == 404 else f"no {request.method} here"
    message = f"There is {what}. /v1 has models, completions and chat/completions."
    headers = getattr(error, "headers", None)
    return _answer(ApiError(status, message, code="unknown_url", headers=headers))
