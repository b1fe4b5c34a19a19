"""Models of the hub: which files they consist of, which of them are needed, and their download."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any, NamedTuple

from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache
from tqdm import tqdm

from lineas_core.errors import UserError
from lineas_core.models.catalog import MODELS, ModelEntry
from lineas_core.models.hub import INDEX
from lineas_core.models.integrity import CONFIG, TOKENIZERS, missing_index, weights_of
from lineas_core.models.locations import Location, hub_errors
from lineas_core.models.repositories import HubPlace
from lineas_core.models.sources import without_weights

__all__ = ["HubFile", "Repository", "download", "files_of", "read_repository"]

_WEIGHTS = r"(model|diffusion_pytorch_model)(-\d+-of-\d+)?{}\.safetensors"  # of pipelines
_TEXTS = ("*.json", "*.txt", "*.jinja", "*.model", "*.tiktoken", "merges.*", "vocab.*")
_MB = 1 << 20


@dataclass(frozen=True)
class Repository:
    """What the hub says about a repository at one commit.

    Attributes:
        sizes: path of each file -> bytes.
        gated: whether its terms have to be accepted first.
        license: its licence as the hub names it; empty if it states none.
    """

    sizes: dict[str, int]
    gated: bool = False
    license: str = ""


class HubFile(NamedTuple):
    """A file that a model needs, and its size in bytes."""

    place: HubPlace
    path: str
    size: int

    @property
    def is_here(self) -> bool:
        """Whether it is in the hub's cache."""
        found = try_to_load_from_cache(
            self.place.repository, self.path, revision=self.place.revision
        )
        return isinstance(found, str)


def read_repository(place: HubPlace) -> Repository:
    """Ask the hub what a repository holds.

    Raises:
        UserError: there is no such repository or revision, or the hub cannot be reached.
    """
    with hub_errors(place):
        facts = HfApi().model_info(place.repository, revision=place.revision, files_metadata=True)
    sizes = {file.rfilename: file.size or 0 for file in facts.siblings or []}
    tags = [tag.partition(":")[2] for tag in facts.tags or [] if tag.startswith("license:")]
    return Repository(sizes, bool(facts.gated), "".join(tags[:1]))


def files_of(name: str, place: Location, found: Repository) -> list[HubFile]:
    """List the files of the hub that a model is loaded from.

    Args:
        name: as in `locate`.
        place: where it is, from `locate`.
        found: what the repository of the model holds.

    Raises:
        UserError: the repository lacks something, such as weights in safetensors format.
    """
    entry = MODELS.get(name)
    own = HubPlace(place.source, place.options.get("revision"))
    paths = _of_pipeline(place, found, entry) if place.is_pipeline else _of_texts(own, found)
    files = [HubFile(own, path, found.sizes[path]) for path in paths]
    if entry and entry.painting and entry.painting.unet:
        repository, revision, path = entry.painting.unet
        other = HubPlace(repository, revision)
        files.append(HubFile(other, path, read_repository(other).sizes.get(path, 0)))
    return files


def download(files: list[HubFile], progress: Callable[[str], None]) -> None:
    """Download files, unless they are on this machine already.

    Args:
        files: what a model needs.
        progress: called with how much has arrived; an exception that it raises ends the download,
            and what has arrived is kept.

    Raises:
        UserError: the hub does not give a file.
    """
    missing = [file for file in files if not file.is_here]
    total, done = sum(file.size for file in missing), 0

    def tell(file: HubFile, count: int) -> None:
        arrived = f"{(done + count) / _MB:,.1f} of {total / _MB:,.1f} MB"
        progress(f"{arrived} downloaded, now {file.path}")

    for file in missing:
        tell(file, 0)
        _download(file, tell)
        done += file.size


def _download(file: HubFile, tell: Callable[[HubFile, int], None]) -> None:
    """Download a file, and report how many of its bytes have arrived."""

    class Meter(tqdm):  # the only way in which the hub's client reports
        def __init__(self, *args: Any, **options: Any) -> None:
            self._count = int(options.get("initial") or 0)
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            self._count += int(n or 0)
            tell(file, self._count)

    with hub_errors(file.place), _by_http():
        hf_hub_download(
            file.place.repository, file.path, revision=file.place.revision, tqdm_class=Meter
        )


@contextmanager
def _by_http() -> Iterator[None]:
    """Download over HTTP: the hub's own protocol does not end when its listener wants it to."""
    before = constants.HF_HUB_DISABLE_XET
    constants.HF_HUB_DISABLE_XET = True
    try:
        yield
    finally:
        constants.HF_HUB_DISABLE_XET = before


def _of_texts(place: HubPlace, found: Repository) -> list[str]:
    """Return the files of a language model; those in folders belong to other programs."""
    names = [path for path in found.sizes if "/" not in path]
    weights = weights_of(names)
    if CONFIG not in names or not weights:
        lacks = "weights in safetensors format" if CONFIG in names else CONFIG
        raise _lacking(place, lacks, without_weights(names))
    if lacks := missing_index(names):
        raise _lacking(place, lacks, "")
    if not any(fnmatch(name, pattern) for name in names for pattern in TOKENIZERS):
        raise _lacking(place, "tokenizer", "")
    texts = [name for name in names if any(fnmatch(name, pattern) for pattern in _TEXTS)]
    return [*texts, *weights]


def _of_pipeline(place: Location, found: Repository, entry: ModelEntry | None) -> list[str]:
    """Return the files of the components that the index of a pipeline names."""
    painting = entry.painting if entry else None
    variant = f".{painting.variant}" if painting and painting.variant else ""
    elsewhere = {"unet"} if painting and painting.unet else set()
    paths = [INDEX]
    for part in _components(place):
        inner = {p.removeprefix(f"{part}/"): p for p in found.sizes if p.startswith(f"{part}/")}
        texts = [name for name in inner if any(fnmatch(name, each) for each in _TEXTS)]
        weights = [n for n in inner if re.fullmatch(_WEIGHTS.format(re.escape(variant)), n)]
        if CONFIG in inner and not weights and part not in elsewhere:
            own = HubPlace(place.source, place.options.get("revision"))
            remedy = without_weights(inner)
            raise _lacking(own, f"weights in safetensors format for its {part}", remedy)
        paths += [inner[n] for n in (*texts, *(weights if part not in elsewhere else ()))]
    return paths


def _components(place: Location) -> Collection[str]:
    index: dict[str, Any] = json.loads((place.folder / INDEX).read_bytes())
    return [k for k, v in index.items() if isinstance(v, list) and v[0] is not None]


def _lacking(place: HubPlace, what: str, remedy: str) -> UserError:
    sentence = f"the model {str(place)!r} could not be loaded (it has no {what})"
    return UserError("E_MODEL", sentence, remedy=remedy or "Choose another repository.")
