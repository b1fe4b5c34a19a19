"""Repositories of the hub: some of their files are downloaded, or uploaded as a new version."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    HfApi,
    constants,
    get_token,
    snapshot_download,
)

from lineas_core.errors import UserError, without_token
from lineas_core.models.hub import HUB_ERRORS, failure, offline_when_unreachable, unreachable

__all__ = ["HubPlace", "Published", "download", "push_to_hub"]

_NAME = r"[A-Za-z0-9][\w.-]*"
_PLACE = re.compile(rf"({_NAME}/{_NAME})(?:@(\S+))?", re.ASCII)


@dataclass(frozen=True)
class HubPlace:
    """A repository of the hub at one revision.

    Attributes:
        repository: `owner/name`.
        revision: branch, tag or commit; None for the main branch.
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> HubPlace | None:
        """Read `owner/name` or `owner/name@revision`; None if the text is neither."""
        found = _PLACE.fullmatch(text)
        return cls(*found.groups()) if found else None

    def __str__(self) -> str:
        return f"{self.repository}@{self.revision}" if self.revision else self.repository


@dataclass(frozen=True)
class Published:
    """What an upload has made.

    Attributes:
        address: page of the repository.
        place: the repository at the commit with the files.
    """

    address: str
    place: HubPlace


def download(place: HubPlace, needed: str, further: Sequence[str], largest: int) -> Path:
    """Download files of a repository, or find them in the hub's cache.

    Args:
        place: the repository.
        needed: name of a file without which the repository is not what is looked for.
        further: names of files that may be missing.
        largest: maximal size in bytes of all these files together.

    Returns:
        The folder of the files in the cache.

    Raises:
        UserError: the files are not in the cache and could not be downloaded, the needed one is
            missing, or they are too large.
    """
    names, reason = [needed, *further], ""
    with (
        offline_when_unreachable(),
        _explained(place, "it is not a folder here, and could not be read from the hub"),
    ):
        if not constants.HF_HUB_OFFLINE:
            reason = _unfit(place, names, largest)
        if not reason:
            found = snapshot_download(
                place.repository, revision=place.revision, allow_patterns=names
            )
    if not reason and not (Path(found) / needed).is_file():
        reason = f"has no {needed} in the cache"
    if reason:
        remedy = "Check the name and the revision."
        raise UserError("E_HUB", f"the repository {reason}", where=str(place), remedy=remedy)
    return Path(found)


def push_to_hub(
    files: Mapping[str, bytes],
    card: Callable[[HubPlace], str],
    repository: str,
    *,
    replaces: Sequence[str],
    private: bool,
    token: str | None,
) -> Published:
    """Upload files as a new version of a repository.

    There are two commits, because a card cannot name the commit that it is part of: the first
    has all files, the second one replaces the card by one that names the first.

    Args:
        files: path within the repository -> content.
        card: makes the README of a repository, whose revision is None for the first commit.
        repository: `name` or `owner/name`; created if missing.
        replaces: patterns of files that belong to the version before, and are deleted.
        private: whether a repository that is created is private.
        token: access token with write permission; None for that of `hf auth login` or HF_TOKEN.

    Raises:
        UserError: there is no token, the hub cannot be reached, or it rejects the upload.
    """
    if not (token or get_token()):
        remedy = "Run `hf auth login`, or set HF_TOKEN to a token that may write."
        raise UserError("E_HUB", "publishing needs a token of huggingface.co", remedy=remedy)
    if unreachable():
        remedy = "Check the network and try again."
        raise UserError("E_HUB", "the hub cannot be reached", remedy=remedy)
    api = HfApi(token=token)
    with _explained(repository, "the upload failed"):
        made = api.create_repo(repository, private=private, exist_ok=True)
        contents = {**files, "README.md": card(HubPlace(made.repo_id)).encode()}
        before = set(api.list_repo_files(made.repo_id)) - set(contents)
        stale = [path for path in before if any(fnmatch(path, each) for each in replaces)]
        commit = api.create_commit(
            made.repo_id,
            [
                *(CommitOperationDelete(path) for path in stale),
                *(CommitOperationAdd(path, data) for path, data in contents.items()),
            ],
            commit_message="Upload a steering map",
        )
        place = HubPlace(made.repo_id, commit.oid)
        pinned = CommitOperationAdd("README.md", card(place).encode())
        message = f"Name revision {commit.oid[:7]} in the card"
        api.create_commit(made.repo_id, [pinned], commit_message=message)
    return Published(str(made), place)


def _unfit(place: HubPlace, names: Sequence[str], largest: int) -> str:
    """Return why the files of a repository are not to be downloaded; empty if they are."""
    facts = HfApi().model_info(place.repository, revision=place.revision, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in facts.siblings or []}
    if names[0] not in sizes:
        return f"has no {names[0]}"
    if sum(sizes.get(name, 0) for name in names) > largest:
        return f"has files of more than {largest >> 20} MB"
    return ""


@contextmanager
def _explained(place: object, what: str) -> Iterator[None]:
    """Raise what the hub's functions raise as one `UserError` that names the repository."""
    try:
        yield
    except HUB_ERRORS as error:
        where = str(place)
        source = where.partition("@")[0]
        reason, remedy = failure(error, source) or (
            _own_words(error),
            "Check the name and try again.",
        )
        raise UserError("E_HUB", f"{what} ({reason})", where=where, remedy=remedy) from error


def _own_words(error: BaseException) -> str:
    """Return the status of the hub's answer, or the error in one line."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    return f"status {status}" if status else " ".join(without_token(str(error)).split())[:200]
