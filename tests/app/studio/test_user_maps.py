import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from app.jobs.job import Job, JobRequest
from app.jobs.queue import Jobs
from app.studio.maps import prompts_of, read_map
from app.studio.studio import Studio
from app.studio.user_maps import LONGEST_TITLE, UserMaps
from lineas_core import AffineMap, PromptSet, SteeringMaps, UserError, load_maps, save_maps
from lineas_core.paths import ASSETS
from lineas_core.storage.maps import WEIGHTS
from lineas_core.storage.places import slug
from tests.full_disk import full_disk

STEPS = {"a": AffineMap(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.0]))}
FACTS = {"model": "smollm2-135m", "kind": "language", "note": "stays"}
PROMPTS = PromptSet(("a", "b"), ("x", "y"), name="Letters")
ROOT = Path(__file__).parents[3]
JOB = "20260101-000000-abcd"
MARKUP = "<img src=x onerror=alert(1)>"


@pytest.fixture
def jobs(tmp_path):
    """One job that is done, with a map and two preview strips."""
    jobs = Jobs(tmp_path / "jobs")
    folder = jobs.folder / JOB
    folder.mkdir()
    jobs.write(Job(JOB, JobRequest("Learnt", "smollm2-135m", PROMPTS), "done", created=1.0))
    facts = {**FACTS, "title": "Learnt"}
    save_maps(SteeringMaps(STEPS, facts), folder / "map", prompts=PROMPTS)
    lines = []
    for step in (0, 4):
        name = f"preview-{step}.png"
        Image.new("RGB", (4, 4)).save(folder / name)
        lines.append({"iteration": step, "elapsed": 1.0, "pictures": [name]})
    (folder / "records.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return jobs


@pytest.fixture
def user_maps(tmp_path, jobs):
    """Besides what the job learnt, one map in the folder."""
    save_maps(SteeringMaps(STEPS, FACTS), tmp_path / "maps" / "letters", prompts=PROMPTS)
    return UserMaps(tmp_path / "maps", jobs)


def _titles(user_maps):
    return {entry.id: entry.title for entry in user_maps.maps()}


def test_maps_of_the_folder_come_before_those_of_jobs(user_maps):
    assert list(_titles(user_maps).items()) == [("letters", "Letters"), (JOB, "Learnt")]
    assert {entry.origin for entry in user_maps.maps()} == {"yours"}


def test_a_new_name_changes_nothing_else(user_maps, tmp_path):
    before = load_maps(tmp_path / "maps" / "letters").metadata
    user_maps.rename("letters", f"  {MARKUP} ")
    assert _titles(user_maps)["letters"] == MARKUP
    assert load_maps(tmp_path / "maps" / "letters").metadata == {**before, "title": MARKUP}
    assert prompts_of(user_maps.maps()[0]).source == PROMPTS.source


def test_a_job_gets_the_name_of_its_map(user_maps, jobs):
    user_maps.rename(JOB, "Another")
    assert _titles(user_maps)[JOB] == "Another"
    assert jobs.get(JOB).request.title == "Another"
    assert jobs.get(JOB).state == "done"


@pytest.mark.parametrize("title", ["", "   ", None, "x" * (LONGEST_TITLE + 1)])
def test_a_name_is_neither_empty_nor_endless(user_maps, title):
    with pytest.raises(UserError, match="the name has"):
        user_maps.rename("letters", title)
    assert _titles(user_maps)["letters"] == "Letters"


def test_a_copy_has_all_but_the_name(user_maps):
    learnt = user_maps.maps()[1]
    copy_id = user_maps.duplicate(learnt)
    (copy,) = [entry for entry in user_maps.maps() if entry.id == copy_id]
    assert copy.title == "Learnt (copy)"
    assert prompts_of(copy) == prompts_of(learnt)
    assert copy.metadata["sha256"] == learnt.metadata["sha256"]
    assert [p.read_bytes() for p in user_maps.pictures(copy)] == [
        p.read_bytes() for p in user_maps.pictures(learnt)
    ]


def test_a_copy_of_the_longest_name_has_a_name_that_fits(user_maps):
    user_maps.rename("letters", "x" * LONGEST_TITLE)
    copy_id = user_maps.duplicate(user_maps.maps()[0])
    assert len(_titles(user_maps)[copy_id]) == LONGEST_TITLE
    assert _titles(user_maps)[copy_id].endswith("(copy)")


def test_a_ready_made_map_becomes_the_users_by_a_copy(user_maps, tmp_path):
    save_maps(SteeringMaps(STEPS, FACTS), tmp_path / "assets" / "shipped", prompts=PROMPTS)
    shipped = read_map("shipped", "ready-made", tmp_path / "assets" / "shipped")
    copy_id = user_maps.duplicate(shipped)
    user_maps.rename(copy_id, "Mine")
    assert load_maps(shipped.folder).metadata["title"] == "Letters"


def test_the_last_previews_of_a_job_are_its_maps(user_maps):
    letters, learnt = user_maps.maps()
    assert user_maps.pictures(letters) == []
    assert [picture.name for picture in user_maps.pictures(learnt)] == ["preview-4.png"]
    assert "previews/00.png" in user_maps.contents(learnt)


def _pack(user_maps, entry, folder):
    for name, data in user_maps.contents(entry).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return Path(shutil.make_archive(str(folder), "zip", folder))


def test_an_exported_map_can_be_imported(user_maps, tmp_path):
    learnt = user_maps.maps()[1]
    map_id = user_maps.import_map(_pack(user_maps, learnt, tmp_path / "out"), set())
    (entry,) = [entry for entry in user_maps.maps() if entry.id == map_id]
    assert (entry.title, entry.model) == ("Learnt", "smollm2-135m")
    assert prompts_of(entry) == prompts_of(learnt)
    assert len(user_maps.pictures(entry)) == 1


def test_a_map_with_more_prompts_than_fit_one_file_is_copied_and_imported(user_maps, tmp_path):
    sides = ([f"{k} {word} {'x' * 300}" for k in range(3000)] for word in ("this", "that"))
    many = PromptSet(*map(tuple, sides), name="Many")
    folder = save_maps(SteeringMaps(STEPS, FACTS), tmp_path / "maps" / "many", prompts=many)
    entry = read_map("many", "yours", folder)
    copied = user_maps.duplicate(entry)
    imported = user_maps.import_map(_pack(user_maps, entry, tmp_path / "out"), set())
    found = {each.id: prompts_of(each) for each in user_maps.maps()}
    assert found[copied] == found[imported] == many


def test_a_copy_of_a_map_of_an_early_version_has_its_prompts(user_maps):
    early = read_map("night", "ready-made", ASSETS / "maps" / "night-smollm2-135m")
    assert "prompts_sha256" not in early.metadata
    copied = user_maps.duplicate(early)
    (copy,) = [entry for entry in user_maps.maps() if entry.id == copied]
    assert prompts_of(copy) == prompts_of(early)
    assert set(early.metadata) <= set(copy.metadata)


def test_an_imported_map_lies_in_a_folder_that_its_title_does_not_choose(user_maps, tmp_path):
    save_maps(SteeringMaps(STEPS, {**FACTS, "title": "../../out"}), tmp_path / "out")
    map_id = user_maps.import_map(tmp_path / "out" / WEIGHTS, set())
    assert _titles(user_maps)[map_id] == "../../out"
    assert (tmp_path / "maps" / map_id).is_dir()
    assert map_id.startswith("out-")


def test_a_stranger_does_not_choose_what_this_machine_loads(user_maps, tmp_path):
    save_maps(SteeringMaps(STEPS, {**FACTS, "model": "some/where"}), tmp_path / "out")
    with pytest.raises(UserError, match="which this app does not have"):
        user_maps.import_map(tmp_path / "out" / WEIGHTS, set())
    assert len(user_maps.maps()) == 2
    user_maps.import_map(tmp_path / "out" / WEIGHTS, {"some/where"})
    assert len(user_maps.maps()) == 3


def test_the_catalog_tells_what_an_imported_map_is_for(user_maps, tmp_path):
    facts = {**FACTS, "kind": "text-to-image"}
    save_maps(SteeringMaps(STEPS, facts), tmp_path / "out")
    map_id = user_maps.import_map(tmp_path / "out" / WEIGHTS, set())
    assert [entry.kind for entry in user_maps.maps() if entry.id == map_id] == ["language"]


def test_what_is_deleted_is_gone_until_it_is_brought_back(user_maps):
    assert user_maps.delete("letters") == "Letters"
    assert list(_titles(user_maps)) == [JOB]
    user_maps.restore("letters")
    assert list(_titles(user_maps)) == ["letters", JOB]


def test_a_job_is_deleted_and_brought_back_with_its_map(user_maps, jobs):
    user_maps.delete(JOB)
    assert jobs.list() == []
    assert list(_titles(user_maps)) == ["letters"]
    user_maps.restore(JOB)
    assert [job.id for job in jobs.list()] == [JOB]
    assert list(_titles(user_maps)) == ["letters", JOB]
    assert [picture.name for picture in user_maps.pictures(user_maps.maps()[1])] == [
        "preview-4.png"
    ]


def test_every_deleted_map_can_be_brought_back_the_last_one_first(user_maps):
    before = _titles(user_maps)
    assert user_maps.last_deleted() == ("", "")
    user_maps.delete("letters")
    user_maps.delete(JOB)
    assert user_maps.last_deleted() == (JOB, "Learnt")
    user_maps.restore(JOB)
    assert user_maps.last_deleted() == ("letters", "Letters")
    user_maps.restore("letters")
    assert (_titles(user_maps), user_maps.last_deleted()) == (before, ("", ""))
    with pytest.raises(UserError, match="not among the deleted ones"):
        user_maps.restore(JOB)


def test_a_map_that_was_put_in_the_place_of_a_deleted_one_can_be_deleted(user_maps, tmp_path):
    shutil.copytree(tmp_path / "maps" / "letters", tmp_path / "kept")
    user_maps.delete("letters")
    shutil.copytree(tmp_path / "kept", tmp_path / "maps" / "letters")
    user_maps.delete("letters")
    assert list(_titles(user_maps)) == [JOB]
    user_maps.restore("letters")
    assert list(_titles(user_maps)) == ["letters", JOB]


def test_another_server_neither_empties_nor_fills_the_bin(tmp_path):
    save_maps(SteeringMaps(STEPS, FACTS), tmp_path / "maps" / "letters", prompts=PROMPTS)
    save_maps(SteeringMaps(STEPS, FACTS), tmp_path / "maps" / "other", prompts=PROMPTS)
    first = Studio(tmp_path)
    first.user_maps.delete("letters")
    second = Studio(tmp_path)
    second.user_maps.delete("other")
    with pytest.raises(UserError, match="cannot be restored"):
        second.user_maps.restore("letters")
    first.user_maps.restore("letters")
    second.user_maps.restore("other")
    assert [entry.id for entry in first.user_maps.maps()] == ["letters", "other"]


_SERVER = """
import sys
from pathlib import Path
from app.studio.studio import Studio
studio = Studio(Path(sys.argv[1]))
studio.user_maps.delete("letters")
(Path(sys.argv[1]) / "maps" / ".letters.killed.unfinished").mkdir()
print("ready", flush=True)
sys.stdin.read()
"""


def test_a_killed_server_s_bin_and_unfinished_files_are_swept_at_the_next_start(tmp_path):
    save_maps(SteeringMaps(STEPS, FACTS), tmp_path / "maps" / "letters", prompts=PROMPTS)
    command, pipe = [sys.executable, "-c", _SERVER, tmp_path], subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe) as server:
        assert server.stdout.readline() == b"ready\n"
        Studio(tmp_path)
        assert list((tmp_path / "deleted").glob("*/letters"))
        assert list((tmp_path / "maps").iterdir())
        server.kill()
        server.wait()
    Studio(tmp_path)
    assert not (tmp_path / "deleted").exists()
    assert list((tmp_path / "maps").iterdir()) == []


@pytest.mark.parametrize("map_id", ["shipped", "../jobs", "..", "", None, "/etc", "letters/"])
def test_an_id_that_is_not_the_users_is_refused(user_maps, map_id):
    for change in (lambda: user_maps.rename(map_id, "Mine"), lambda: user_maps.delete(map_id)):
        with pytest.raises(UserError, match="cannot be changed"):
            change()
    with pytest.raises(UserError, match="cannot be restored"):
        user_maps.restore(map_id)


def test_a_job_that_is_not_over_stays(user_maps, jobs):
    jobs.write(Job(JOB, JobRequest("Learnt", "smollm2-135m", PROMPTS), "running", created=1.0))
    with jobs.lock.hold(), pytest.raises(UserError, match="still being learnt. Stop it first"):
        user_maps.delete(JOB)


def test_a_map_that_is_being_learnt_is_found_but_not_listed(user_maps, jobs):
    jobs.write(Job(JOB, JobRequest("Learnt", "smollm2-135m", PROMPTS), "running", created=1.0))
    with jobs.lock.hold():
        assert JOB not in _titles(user_maps)
        assert user_maps.is_learning(user_maps.find(JOB))
    assert not user_maps.is_learning(user_maps.find(JOB))  # its worker has ended
    assert not user_maps.is_learning(user_maps.find("letters"))


def test_a_full_disk_is_one_sentence_and_leaves_nothing_behind(user_maps, tmp_path):
    with full_disk(), pytest.raises(UserError, match="the map was not saved.*Free some disk"):
        user_maps.duplicate(user_maps.maps()[0])
    assert [folder.name for folder in (tmp_path / "maps").iterdir()] == ["letters"]
    with full_disk(), pytest.raises(UserError, match="the map was not saved.*Free some disk"):
        user_maps.rename("letters", "Other")
    assert _titles(user_maps)["letters"] == "Letters"


def test_a_listing_reads_headers_and_a_changed_map_again(user_maps, tmp_path):
    weights = tmp_path / "maps" / "letters" / WEIGHTS
    data = bytearray(weights.read_bytes())
    data[-8:] = b"\xff" * 8
    weights.write_bytes(data)
    assert _titles(user_maps)["letters"] == "Letters"
    with pytest.raises(UserError, match="checksum"):
        load_maps(tmp_path / "maps" / "letters")
    save_maps(SteeringMaps(STEPS, {**FACTS, "title": "New"}), tmp_path / "maps" / "letters")
    assert _titles(user_maps)["letters"] == "New"
    weights.write_bytes(weights.read_bytes()[:-1])
    assert "letters" not in _titles(user_maps)
    assert user_maps.unreadable() == ["letters"]


def test_a_damaged_map_of_a_job_is_named(user_maps, jobs):
    (jobs.folder / JOB / "map" / WEIGHTS).write_bytes(b"torn")
    assert list(_titles(user_maps)) == ["letters"]
    assert user_maps.unreadable() == [JOB]


def test_prompts_of_another_map_are_not_imported(user_maps, tmp_path):
    folder = save_maps(SteeringMaps(STEPS, FACTS), tmp_path / "out", prompts=PROMPTS)
    (folder / "prompts.json").write_text('{"source": ["c", "d"], "target": ["e", "f"]}')
    archive = shutil.make_archive(str(folder), "zip", folder)
    with pytest.raises(UserError, match="not the prompts that the map was saved with"):
        user_maps.import_map(Path(archive), set())


@pytest.mark.parametrize(
    ("title", "name"),
    [("Ukiyo-e!", "ukiyo-e"), ("../x", "x"), ("日本", "map"), ("A" * 60, "a" * 40)],
)
def test_a_title_becomes_the_name_of_a_file(title, name):
    assert slug(title) == name


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_the_best_map_of_a_job_that_ended_early_is_there(user_maps, jobs, state):
    jobs.write(replace(jobs.get(JOB), state=state))
    assert JOB in _titles(user_maps)


def test_half_a_character_in_a_name_does_not_break_the_library(user_maps):
    user_maps.rename("letters", "x\ud83e")
    assert _titles(user_maps)["letters"] == "x?"
