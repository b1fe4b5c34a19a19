"""Asks the hub in a way that does not hang: most machines are offline at some time."""

from __future__ import annotations

import ssl
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from huggingface_hub import constants, hf_hub_download

__all__ = ["INDEX", "is_pipeline", "unreachable"]

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


def is_pipeline(source: str, *, local_files_only: bool) -> bool:
    """Whether a folder or a hub repository holds a diffusers pipeline."""
    if Path(source).is_dir():
        return (Path(source) / INDEX).is_file()
    try:
        hf_hub_download(source, INDEX, local_files_only=local_files_only)
    except (OSError, ValueError, LookupError):  # no such file, no such repository
        return False
    return True
