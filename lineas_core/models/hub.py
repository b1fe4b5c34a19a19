"""Asks the hub in a way that does not hang: most machines are offline at some time."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import CommitOperationAdd, HfApi, constants, hf_hub_download

from lineas_core.errors import UserError

__all__ = ["INDEX", "is_pipeline", "offline_when_unreachable", "push_to_hub", "unreachable"]

INDEX = "model_index.json"
"""The file that makes a folder or repository a diffusers pipeline."""


def unreachable() -> bool:
    """Whether only what is on this machine can be had.

    The hub's own functions try six times before they give up, for every single file.
    """
    if constants.HF_HUB_OFFLINE:
        return True
    try:
        urlopen(Request(constants.ENDPOINT, method="HEAD"), timeout=4).close()
    except HTTPError:
        return False  # an answer, whatever it says
    except URLError as error:
        # Someone answered, too, where only our certificates are wanting.
        return not isinstance(error.reason, ssl.SSLError)
    except OSError:
        return True
    return False


@contextmanager
def offline_when_unreachable() -> Iterator[None]:
    """Spare a library that asks the hub by itself its tries; what is cached it still finds."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = unreachable()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def is_pipeline(source: str, *, local_files_only: bool) -> bool:
    """Whether a folder or a hub repository holds a diffusers pipeline."""
    if Path(source).is_dir():
        return (Path(source) / INDEX).is_file()
    try:
        hf_hub_download(source, INDEX, local_files_only=local_files_only)
    except (OSError, ValueError, LookupError):  # no such file, no such repository
        return False
    return True


def push_to_hub(files: Mapping[str, bytes], repository: str, *, token: str) -> str:
    """Put files into a repository of the hub, as one commit.

    Args:
        files: path within the repository -> content.
        repository: `name` or `owner/name`. One that is not there yet is made, and private: the
            prompts of a map may say more than its author means to publish.
        token: of the hub, with the right to write.

    Returns:
        The address of the repository.

    Raises:
        UserError: the hub cannot be reached, or refuses.
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
        answer = f" ({response.status_code})" if response is not None else ""
        raise UserError(
            "E_HUB",
            f"the hub refused{answer}",
            where=repository,
            remedy="Check the name, and that the token may write.",
        ) from error
    return str(made)
