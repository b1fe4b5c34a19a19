"""Access to the hub, with a short check whether it can be reached."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import CommitOperationAdd, HfApi, constants, get_session, hf_hub_download
from huggingface_hub.errors import HfHubHTTPError

from lineas_core.errors import UserError

__all__ = ["INDEX", "is_pipeline", "offline_when_unreachable", "push_to_hub", "unreachable"]

INDEX = "model_index.json"
"""File that identifies a folder or repository as a diffusers pipeline."""


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
    if status in (408, 429) or status >= 500:
        raise HfHubHTTPError(f"the hub answered {status}", response=response)


def is_pipeline(source: str, *, local_files_only: bool) -> bool:
    """Return True if a folder or hub repository holds a diffusers pipeline.

    Args:
        source: folder or hub id.
        local_files_only: look in the hub's cache only.
    """
    if Path(source).is_dir():
        return (Path(source) / INDEX).is_file()
    try:
        hf_hub_download(source, INDEX, local_files_only=local_files_only)
    except (OSError, ValueError, LookupError):  # no such file, no such repository
        return False
    return True


def push_to_hub(files: Mapping[str, bytes], repository: str, *, token: str) -> str:
    """Upload files to a repository of the hub in one commit.

    Args:
        files: path within the repository -> content.
        repository: `name` or `owner/name`. It is created if missing, as a private repository:
            the prompts of a map may reveal more than its author wants to publish.
        token: access token with write permission.

    Returns:
        The address of the repository.

    Raises:
        UserError: the hub cannot be reached, or rejects the upload.
    """
    if unreachable():
        remedy = "Check the network and try again."
        raise UserError("E_HUB", "the hub cannot be reached", remedy=remedy)
    api = HfApi(token=token)
    try:
        made = api.create_repo(repository, private=True, exist_ok=True)
        operations = [CommitOperationAdd(path, data) for path, data in files.items()]
        api.create_commit(made.repo_id, operations, commit_message="Upload a steering map")
    except (OSError, ValueError) as error:
        response = getattr(error, "response", None)
        status = f" ({response.status_code})" if response is not None else ""
        raise UserError(
            "E_HUB",
            f"the hub rejected the upload{status}",
            where=repository,
            remedy="Check the name, and that the token has write permission.",
        ) from error
    return str(made)
