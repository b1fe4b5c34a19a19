"""Errors of the endpoint, in OpenAI's JSON form."""

from __future__ import annotations

from typing import Any

from lineas_core.errors import UserError
from lineas_core.serving.engine import Busy

__all__ = ["ApiError", "error_of"]


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
