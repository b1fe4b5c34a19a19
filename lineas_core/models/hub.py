"""Access to the hub, with a short check whether it can be reached."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants, get_session, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx

from lineas_core.errors import UserError, first_line

__all__ = [
    "HUB_ERRORS",
    "INDEX",
    "download_data",
    "failure",
    "offline_when_unreachable",
    "unreachable",
]

HUB_ERRORS = (OSError, ValueError, LookupError, httpx.TransportError)
"""What the hub's functions raise; a broken connection is no `OSError` there."""

INDEX = "model_index.json"
"""File that identifies a folder or repository as a diffusers pipeline."""

_ABSENT = "it is not on this machine, and the hub does not answer"
_AGAIN = (
    "Run it again with a connection to huggingface.co: files that were downloaded completely are "
    "kept."
)
_LOG_IN = "Run `hf auth login`, or correct HF_TOKEN."
_REFUSED = {
    401: ("the hub does not accept the token", _LOG_IN),
    403: (
        "the account of the token has no permission",
        "Check the name and, for an upload, that the token may write.",
    ),
}


def unreachable() -> bool:
    """Return True if the hub cannot be reached, after four seconds at most.

    The hub's own functions retry five times for every single file, and wait as long as the hub
    asks for, which can be an hour. After this call, they fail at once.
    """
    if constants.HF_HUB_OFFLINE:
        return True
    hooks = get_session().event_hooks
    if _fail_at_once not in hooks["response"]:
        get_session().event_hooks = {**hooks, "response": [*hooks["response"], _fail_at_once]}
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=4).close()
    except HTTPError:
        return False  # any HTTP answer shows that the hub is reachable
    except URLError as error:
        # A failed certificate check also shows that a server answered.
        return not isinstance(error.reason, ssl.SSLError)
    except OSError:
        return True
    return False


def failure(error: BaseException | None, source: str | Path) -> tuple[str, str] | None:
    """Explain why the hub did not give or take a file.

    Args:
        error: raised by the hub's functions, or by a library that calls them.
        source: hub id; that of a data set starts with `datasets/`, as in its address.

    Returns:
        The reason and the remedy; None if the error has another cause.
    """
    absent = False
    while error is not None:
        if found := _explained(error, source):
            return found
        absent |= isinstance(error, LocalEntryNotFoundError | OfflineModeIsEnabled)
        error = error.__cause__ or error.__context__
    return (_ABSENT, _AGAIN) if absent else None


def _explained(error: BaseException, source: str | Path) -> tuple[str, str] | None:
    """Explain one error, without those that caused it."""
    status = error.response.status_code if isinstance(error, HfHubHTTPError) else 0
    if isinstance(error, GatedRepoError):
        terms = f"accept its terms at https://huggingface.co/{source}"
        if status == 403:
            reason = "it is gated, and the account of your token has no access"
            return reason, f"Log in to the hub with that account and {terms}."
        reason = "it is gated, and there is no valid token"
        return reason, f"Log in to the hub, {terms}, and run `hf auth login` or set HF_TOKEN."
    if isinstance(error, RepositoryNotFoundError):
        reason = "the hub has no such repository, or it is private"
        return reason, "Check the name; for a private repository, run `hf auth login`."
    if isinstance(error, RevisionNotFoundError):
        return "the repository has no such revision", "Check the branch, tag or commit."
    if isinstance(error, HFValidationError):
        remedy = "Give OWNER/NAME, with letters, digits, single -, _ and . in both."
        return "the hub allows no such name", remedy
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return _ABSENT, _AGAIN
    if isinstance(error, httpx.TransportError):
        return "the connection to the hub broke off", _AGAIN
    if _is_passing(status):
        return f"the hub is overloaded or reports an error of its own, {status}", _AGAIN
    return _REFUSED.get(status)


@contextmanager
def offline_when_unreachable() -> Iterator[None]:
    """Disable the hub's retries while offline; cached files are still found."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = unreachable()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _fail_at_once(response: Any) -> None:
    """Raise an error for an answer after which the hub's functions would wait and try again."""
    status = response.status_code
    if _is_passing(status):
        raise HfHubHTTPError(f"the hub answered {status}", response=response)


def _is_passing(status: int) -> bool:
    """Return whether a later request may succeed."""
    return status in (408, 429) or status >= 500


def download_data(repository: str, file: str) -> Path:
    """Download a file of a data set, or find it in the hub's cache.

    Args:
        repository: hub id of the data set.
        file: path within the repository.

    Raises:
        UserError: it is not in the cache, and could not be downloaded.
    """
    try:
        with offline_when_unreachable():
            return Path(hf_hub_download(repository, file, repo_type="dataset"))
    except HUB_ERRORS as error:
        reason, remedy = failure(error, f"datasets/{repository}") or (first_line(error), _AGAIN)
        what = f"the data set could not be downloaded ({reason})"
        raise UserError("E_DATA", what, where=repository, remedy=remedy) from error
