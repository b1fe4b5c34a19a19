"""The user's own maps: added to a folder, imported, or learnt by a job.

A map that a job learnt stays in the folder of the job and has its id; deleting the map deletes
the job. Deleted maps can be restored until the app is started again. Each server has a bin of its
own, so that another one on the same data folder does not empty it.
"""

from __future__ import annotations

import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from threading import Lock

from lineas_core import SteeringMaps, UserError, load_maps, save_maps
from lineas_core.models.catalog import MODELS
from lineas_core.storage.disk import new_folder, saving, sweep, write_atomically
from lineas_core.storage.maps import holds_maps, read_prompts
from lineas_core.storage.places import PROMPTS, TEXTS, WEIGHTS, slug
from lineas_core.storage.publishing import contents, pictures_in

from ..jobs.job import PENDING
from ..jobs.queue import Jobs
from .archive import read_imported_map
from .maps import MapEntry, find_map, maps_in, read_map

__all__ = ["LONGEST_TITLE", "UserMaps", "tidy"]

LONGEST_TITLE = 100


class UserMaps:
    """The maps that the user may change; methods raise `UserError` for any other id."""

    def __init__(self, folder: Path, jobs: Jobs) -> None:
        """Use `folder`, and a new bin beside it.

        Args:
            folder: has one subfolder per map; may be missing.
            jobs: jobs whose maps are listed as well.
        """
        self._folder, self._jobs = folder, jobs
        self._bins = folder.parent / "deleted"
        self._bin = self._bins / secrets.token_hex(4)
        # Original folders and titles of the maps in the bin, by id; the one deleted last is last.
        self._deleted: dict[str, tuple[Path, str]] = {}
        self._lock = Lock()

    def tidy(self) -> None:
        """Empty all bins, and remove files that killed processes left unfinished.

        No other server may use the folder.
        """
        shutil.rmtree(self._bins, ignore_errors=True)
        sweep(self._folder)

    def maps(self) -> list[MapEntry]:
        """List the maps of the folder by name, then those of the jobs, newest first."""
        over = [job for job in self._jobs.list() if job.state not in PENDING]
        places = [(job.id, job.map_folder) for job in over if job.map_folder]
        learnt = [read_map(map_id, "yours", folder) for map_id, folder in places]
        return [*maps_in("yours", self._folder), *filter(None, learnt)]

    def find(self, map_id: object) -> MapEntry | None:
        """Find one map by its id without reading the others; None if there is none.

        A map that is still being learnt is found as it is so far, although it is not listed.
        """
        if found := find_map(map_id, "yours", self._folder):
            return found
        try:
            job = self._jobs.get(str(map_id))
        except UserError:
            return None
        return read_map(job.id, "yours", job.map_folder) if job.map_folder else None

    def is_learning(self, entry: MapEntry) -> bool:
        """Return whether a job still learns this map."""
        return self._from_job(entry) and self._jobs.get(entry.id).state in PENDING

    def unreadable(self) -> list[str]:
        """List the names of the folders, and the ids of the jobs, whose map is damaged."""
        places = [(f.name, f) for f in sorted(self._folder.glob("[!.]*/")) if holds_maps(f)]
        over = [job for job in self._jobs.list() if job.state not in PENDING]
        places += [(job.id, job.map_folder) for job in over if job.map_folder]
        return [name for name, folder in places if not read_map(name, "yours", folder)]

    def pictures(self, entry: MapEntry) -> list[Path]:
        """Return the preview pictures of any map; for a job its latest ones."""
        if (found := pictures_in(entry.folder)) or not self._from_job(entry):
            return found
        painted = [r["pictures"] for r in self._jobs.previews(entry.id) if r["pictures"]]
        return painted[-1] if painted else []

    def rename(self, map_id: str, title: str) -> None:
        """Change the title of a map and nothing else."""
        entry, title = self._own(map_id), tidy(title)
        if not 1 <= len(title) <= LONGEST_TITLE:
            remedy = f"Give 1 to {LONGEST_TITLE} characters."
            raise UserError("E_TITLE", f"the name has {len(title)} characters", remedy=remedy)
        maps = load_maps(entry.folder)
        save_maps(SteeringMaps(maps.maps, {**maps.metadata, "title": title}), entry.folder)
        if self._from_job(entry):
            self._jobs.rename(entry.id, title)

    def duplicate(self, entry: MapEntry) -> str:
        """Copy any map to the user's maps; returns the id of the copy."""
        title = f"{entry.title[: LONGEST_TITLE - 7]} (copy)"
        return self._add(load_maps(entry.folder), {"title": title}, self.contents(entry))

    def import_map(self, file: Path, known: set[str]) -> str:
        """Import a map from a zip archive or from its weights alone.

        Args:
            file: the uploaded file.
            known: models that are allowed besides those of the catalog. A map names the model
                to load, and an imported map must not make this machine load any other model.

        Returns:
            The id of the map.

        Raises:
            UserError: the file is not a valid map, or its model is unknown.
        """
        imported = read_imported_map(file)
        model = str(imported.maps.metadata.get("model"))
        if model not in MODELS and model not in known:
            raise UserError(
                "E_MODEL",
                f"this map was learnt on {model[:200]!r}, which this app does not have",
                where=file.name,
                remedy=f"Choose a map for one of {', '.join(MODELS)}.",
            )
        title = str(imported.maps.metadata.get("title") or file.stem).strip()[:LONGEST_TITLE]
        kind = {"kind": MODELS[model].kind} if model in MODELS else {}
        return self._add(imported.maps, {"title": title, **kind}, imported.files)

    def delete(self, map_id: str) -> str:
        """Move a map to the bin; returns its title."""
        entry = self._own(map_id)
        home = entry.folder.parent if self._from_job(entry) else entry.folder
        with self._lock, saving("the map was", done="deleted"):
            self._bin.mkdir(parents=True, exist_ok=True)
            # A folder can be put in the place of a deleted one by hand.
            shutil.rmtree(self._bin / map_id, ignore_errors=True)
            home.rename(self._bin / map_id)
            self._deleted.pop(map_id, None)
            self._deleted[map_id] = home, entry.title
        return entry.title

    def last_deleted(self) -> tuple[str, str]:
        """Return id and title of the map in the bin that was deleted last; empty without one."""
        with self._lock:
            for map_id, (_, title) in reversed(self._deleted.items()):
                return map_id, title
        return "", ""

    def restore(self, map_id: str) -> None:
        """Restore a deleted map.

        Raises:
            UserError: it is not in the bin of this server.
        """
        with self._lock, saving("the map was", done="restored"):
            if map_id not in self._deleted:
                what = "this map cannot be restored, because it is not among the deleted ones"
                raise UserError("E_MAP", what, remedy="Learn or import it again.")
            (self._bin / map_id).rename(self._deleted[map_id][0])
            del self._deleted[map_id]

    def contents(self, entry: MapEntry) -> dict[str, bytes]:
        """Return the files of any map, previews included: content by path within its folder."""
        return contents(entry.folder, self.pictures(entry))

    def _add(self, maps: SteeringMaps, facts: dict[str, str], files: dict[str, bytes]) -> str:
        """Save maps with additional metadata and files to a new folder; returns its id."""
        map_id = f"{slug(facts['title'])}-{secrets.token_hex(4)}"
        prompts = None
        with suppress(UserError, LookupError):  # without any, or damaged
            prompts = read_prompts(files[PROMPTS], maps.metadata)
        maps = SteeringMaps(maps.maps, {**maps.metadata, **facts})
        with saving("the map was"), new_folder(self._folder / map_id) as folder:
            save_maps(maps, folder, prompts=prompts)
            for name, data in files.items():
                if name not in (WEIGHTS, *TEXTS):
                    (folder / name).parent.mkdir(exist_ok=True)
                    write_atomically(folder / name, data)
        return map_id

    def _own(self, map_id: str) -> MapEntry:
        if entry := self.find(map_id):
            if self.is_learning(entry):
                remedy = "Stop it first, or wait until it is done."
                raise UserError("E_MAP", "this map is still being learnt", remedy=remedy)
            return entry
        remedy = "Choose one of your own maps, or duplicate this one and change the copy."
        raise UserError("E_MAP", "this map cannot be changed", remedy=remedy)

    def _from_job(self, entry: MapEntry) -> bool:
        return entry.folder.is_relative_to(self._jobs.folder)


def tidy(title: str | None) -> str:
    """Return a title without outer spaces; lone surrogates, which cannot be sent, are replaced."""
    return (title or "").encode("utf-8", "replace").decode().strip()
