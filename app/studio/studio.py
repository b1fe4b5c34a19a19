"""The state behind the page: maps, jobs, models, prompts and votes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lineas_core import SteeringMaps, UserError, load_maps
from lineas_core.models.catalog import Kind
from lineas_core.paths import ASSETS, PROMPTS
from lineas_core.storage.checkpoint import export_checkpoint
from lineas_core.storage.lycoris import export_norms, reader_note
from lineas_core.storage.places import slug
from lineas_core.storage.publishing import push_maps

from ..jobs.lock import Lock
from ..jobs.queue import Jobs
from .chats import Chats
from .checks import number
from .maps import MapEntry, find_map, ready_made
from .mix import Mix, checked_pairs
from .models import Models
from .pictures import Pictures
from .plausible import check_usable, load_usable
from .prompts import PromptLibrary
from .steps import Steps
from .texts import Texts
from .user_maps import UserMaps
from .votes import Votes

__all__ = ["Studio"]

_RESULTS: dict[Kind, str] = {"language": "texts", "text-to-image": "pictures"}


class Studio:
    """The state that all requests share.

    A handler looks up the ids that a request names once, with `entry`, `together` or `mix`, and
    passes `MapEntry` objects on.

    Attributes:
        jobs: the training jobs.
        user_maps: the maps that the user may change.
        models: the models, some of them loaded.
        texts: generation of texts.
        chats: answers to conversations.
        pictures: generation of pictures.
        prompts: the shipped prompt sets, openings and scenes.
        hub_token: token of huggingface.co for publishing maps; None if none was given.
        read_only: whether the page is a public demo, in which nothing is learnt or changed.
        tables: folder of the shipped results.
        votes: votes of the blind comparison of pictures.
        text_votes: votes of that of texts.
    """

    def __init__(
        self,
        data_dir: Path,
        assets: Path = ASSETS,
        prompts: Path = PROMPTS,
        *,
        hub_token: str | None = None,
        read_only: bool = False,
    ) -> None:
        """Open the folders; a model is loaded when it is first used.

        Args:
            data_dir: the user's maps and jobs; created if missing.
            assets: folder with the ready-made maps (`maps`) and the results (`tables`).
            prompts: folder of the shipped prompts.
            hub_token: token of huggingface.co with write access.
            read_only: as above; jobs that wait in the folder stay there.
        """
        self.read_only = read_only
        self.jobs = Jobs(data_dir / "jobs", read_only=read_only)
        self.user_maps = UserMaps(data_dir / "maps", self.jobs)
        self._lock = Lock(data_dir)
        if self._lock.claim():  # no other server uses the folder
            self.user_maps.tidy()
            self.jobs.sweep()
        if not read_only:
            self.jobs.serve()
        self.models, self.prompts = Models(), PromptLibrary(prompts)
        self.texts, self.pictures = Texts(self.models), Pictures(self.models)
        self.chats = Chats(self.models)
        self.hub_token = hub_token
        self.votes = Votes(data_dir / "votes.jsonl")
        self.text_votes = Votes(data_dir / "text-votes.jsonl")
        self.tables, self._ready_made = assets / "tables", assets / "maps"

    def maps(self) -> list[MapEntry]:
        """List the ready-made maps, those to open on first, then the user's maps."""
        return [*ready_made(self._ready_made), *self.user_maps.maps()]

    def opens_on(self) -> Kind:
        """Return the kind of model to show first: pictures, if a ready-made map can run."""
        ready = [e for e in ready_made(self._ready_made) if self.models.installed(e.model)]
        return "text-to-image" if "text-to-image" in {e.kind for e in ready} else "language"

    def entry(self, map_id: object, kind: Kind | None = None) -> MapEntry:
        """Find one map by its id, without reading the others.

        Args:
            map_id: any value from a request.
            kind: required kind of model; None accepts both.

        Raises:
            UserError: there is no such map.
        """
        entry = find_map(map_id, "ready-made", self._ready_made) or self.user_maps.find(map_id)
        if entry and kind in (None, entry.kind):
            return entry
        what = f"there is no such map{f' for {_RESULTS[kind]}' if kind else ''}"
        raise UserError("E_MAP", what, remedy="Choose one from the list.")

    def together(self, map_ids: Sequence[object]) -> list[MapEntry]:
        """Find several maps for pictures, which must have been learnt on the same model.

        Raises:
            UserError: a map does not exist or has to be confirmed first, or the maps belong to
                different models.
        """
        entries = [self.entry(map_id, "text-to-image") for map_id in map_ids]
        if len({entry.model for entry in entries}) > 1:
            models = ", ".join(f"{entry.title}: {entry.model}" for entry in entries)
            what = f"the maps were learnt on different models ({models})"
            raise UserError(
                "E_MODEL", what, remedy="Choose maps that were learnt on the same model."
            )
        for entry in entries:
            check_usable(entry)
        return entries

    def mix(self, map_id: object, further: object = (), steps: Steps = Steps()) -> Mix:  # noqa: B008
        """Find a map for pictures and the maps that are applied after it.

        Args:
            map_id: id of the first map.
            further: pairs (id, λ) of the other maps.
            steps: number of denoising steps, guidance and steered steps.

        Raises:
            UserError: as in `together`; or there are too many pairs, or one is invalid.
        """
        pairs = checked_pairs(further)
        entries = self.together([map_id, *(each for each, _ in pairs)])
        return Mix(tuple(entries), tuple(strength for _, strength in pairs), steps)

    def steering(self, entry: MapEntry) -> SteeringMaps:
        """Load the tensors of a map."""
        return load_maps(entry.folder)

    def export_norms(self, entry: MapEntry, folder: Path) -> tuple[list[Path], str]:
        """Write a map of norms and its inverse as files for ComfyUI and A1111.

        Args:
            entry: a map for pictures.
            folder: folder for the files; created if missing.

        Returns:
            The files, and which program would not find all norms; empty if each does.

        Raises:
            UserError: the model is not installed, the map does not fit it or steers modules
                other than norms, or the files cannot be written.
        """
        maps = load_usable(entry)
        with self.models.use(entry.model) as model:
            return export_norms(maps, model, folder, slug(entry.title)), reader_note(model)

    def export_weights(self, entry: MapEntry, strength: object, folder: Path) -> Path:
        """Write the model of a map with the map in its weights.

        Args:
            entry: the map.
            strength: λ, -1 to 1.
            folder: existing folder for that of the model.

        Returns:
            The folder of the model, named after map and strength.

        Raises:
            UserError: the strength is not such a number, the model is not installed, the map does
                not fit it or cannot become weights exactly, or the files cannot be written.
        """
        at = number("λ", strength, -1, 1)
        maps, target = load_usable(entry), folder / f"{slug(entry.title)}-{at:g}"
        with self.models.use(entry.model) as model:
            export_checkpoint([maps], [at], model, target)
        return target

    def publish(self, entry: MapEntry, repository: str) -> str:
        """Upload a map with all its files to the hub.

        Args:
            entry: the map.
            repository: `name` or `owner/name`; created as private if it does not exist.

        Returns:
            The address of the repository.

        Raises:
            UserError: the token or the name is missing, or the upload fails.
        """
        if not self.hub_token:
            remedy = "Set the environment variable HF_TOKEN and start the app again."
            raise UserError("E_HUB", "publishing needs a token of huggingface.co", remedy=remedy)
        if not repository:
            remedy = "Write a name, such as my-map or owner/my-map."
            raise UserError("E_HUB", "the repository has no name", remedy=remedy)
        pictures = self.user_maps.pictures(entry)
        pushed = push_maps(entry.folder, repository, pictures=pictures, token=self.hub_token)
        return pushed.address
