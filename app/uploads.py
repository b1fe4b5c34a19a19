"""What visitors may upload: how much, of which types, and how much of the disk stays free.

Gradio keeps uploaded files for a day and limits the size of a file alone. An upload counts for two
hours, from its first byte on; for longer, the room that the disk must keep is the limit.
"""

from __future__ import annotations

import json
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .bodies import WHOLE, Body

__all__ = ["PROMPT_TYPES", "TYPES", "Quota", "Uploads"]

PROMPT_TYPES = (".txt", ".csv", ".tsv", ".json", ".jsonl", ".ndjson")
"""Suffixes of files with prompts."""
TYPES = (*PROMPT_TYPES, ".png", ".safetensors", ".zip")
"""Suffixes of the files that a handler reads."""

_COUNTED = 7200.0  # seconds
_LEAST = 64 << 10  # bytes that any file counts, so that there are not too many
_TYPE = "This page cannot read “{name}”. Supported file types: {types}."
_FULL = "The disk of the server is nearly full, so it takes no uploads. Try again later."
_OWN = "With this file you would have uploaded more than {most} MB in two hours. Try again later."
_ALL = (
    "With this file all visitors together would have uploaded more than {most} MB in two hours. "
    "Try again later."
)


@dataclass(frozen=True)
class Quota:
    """Limits of uploads in bytes.

    Attributes:
        visitor: of one address within two hours.
        all: of all addresses within two hours.
        free: of the disk, which no upload may use.
    """

    visitor: int = 512 << 20
    all: int = 2 << 30
    free: int = 500 << 20


@dataclass
class _Upload:
    visitor: str
    began: float  # monotonic seconds
    size: int  # bytes; until it is finished those that it may have


class Uploads:
    """Passes uploads on to the app that stores them, within a quota."""

    def __init__(self, folder: Path, quota: Quota) -> None:
        """Start without an upload.

        Args:
            folder: where the app stores uploads: unfinished ones as files of this folder, others
                in folders below it.
            quota: the limits.
        """
        self._folder, self._quota = folder, quota
        self._uploads: list[_Upload] = []

    async def pass_on(
        self, app: Any, scope: dict[str, Any], body: Body, visitor: str, size: int
    ) -> None:
        """Let the app store an upload, or refuse it.

        Args:
            app: the ASGI app.
            scope: of the request.
            body: of the request.
            visitor: address of the visitor.
            size: largest possible size in bytes.
        """
        self._drop_unfinished()
        status, refusal = self._refusal(visitor, size)
        if refusal:
            await body.refuse(status, refusal)
            return
        upload, answer = _Upload(visitor, time.monotonic(), size), _Answer()
        self._uploads.append(upload)
        try:
            await app(scope, body.receive, answer.send)
        finally:
            files = answer.files()
            stranger = next((f for f in files if f.suffix.lower() not in TYPES), None)
            if stranger or body.refused:
                files = _removed(files)
            upload.size = sum(map(_size, files))
            if stranger and not body.refused:
                await body.refuse(415, _TYPE.format(name=stranger.name, types=", ".join(TYPES)))
            await answer.pass_on(body)

    def _refusal(self, visitor: str, size: int) -> tuple[int, str]:
        """Return why an upload is refused, status and sentence; 0 and none if it is not."""
        oldest = time.monotonic() - _COUNTED
        self._uploads = [each for each in self._uploads if each.began > oldest]
        own = sum(each.size for each in self._uploads if each.visitor == visitor)
        together = sum(each.size for each in self._uploads)
        self._folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self._folder).free - size < self._quota.free:
            return 507, _FULL
        if own + size > self._quota.visitor:
            return 429, _OWN.format(most=self._quota.visitor >> 20)
        if together + size > self._quota.all:
            return 429, _ALL.format(most=self._quota.all >> 20)
        return 0, ""

    def _drop_unfinished(self) -> None:
        """Remove the files of uploads that failed, or whose server was killed."""
        oldest = time.time() - 2 * WHOLE
        with suppress(OSError):  # the folder does not exist yet
            for file in self._folder.iterdir():
                with suppress(OSError):  # another server has removed it
                    if file.is_file() and file.stat().st_mtime < oldest:
                        file.unlink()


class _Answer:
    """The response of the app, held back until its files have been looked at."""

    def __init__(self) -> None:
        self._messages: list[dict[str, Any]] = []

    async def send(self, message: dict[str, Any]) -> None:
        self._messages.append(message)

    def files(self) -> list[Path]:
        """Return the files that the app has stored."""
        written = b"".join(message.get("body", b"") for message in self._messages)
        status = next((m["status"] for m in self._messages if "status" in m), 0)
        return [Path(name) for name in json.loads(written)] if status == 200 else []

    async def pass_on(self, body: Body) -> None:
        for message in self._messages:
            await body.send(message)


def _removed(files: list[Path]) -> list[Path]:
    """Remove files; return those that are left."""
    for file in files:
        with suppress(OSError):
            file.unlink()
    return [file for file in files if file.exists()]


def _size(file: Path) -> int:
    with suppress(OSError):
        return max(file.stat().st_size, _LEAST)
    return _LEAST
