"""Every error of a disk at every step of a save: the old content stays, in one sentence."""

import errno
import os

import pytest
import torch

from lineas_core import AffineMap, SteeringMaps, UserError, load_maps, save_maps
from lineas_core.storage.disk import saving, write_atomically

FULL = ("ENOSPC", "EDQUOT", "EFBIG")
ERRORS = (*FULL, "EIO", "EROFS", "EACCES", "ESTALE")
STEPS = ("fsync", "replace", "link", "rename", "mkdir", "open")


def _maps(value):
    step = AffineMap(torch.full((8,), value), torch.full((8,), value))
    return SteeringMaps({"m": step}, {"title": f"Map {value}"})


@pytest.mark.parametrize("name", ERRORS)
@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_a_save_that_fails_anywhere_keeps_the_map_whole(tmp_path, monkeypatch, name, step, call):
    folder, calls = save_maps(_maps(1.0), tmp_path / "map"), 0
    real = getattr(os, step)

    def failing(*args, **kwargs):
        nonlocal calls
        calls += 1
        if calls == call:
            raise OSError(getattr(errno, name), os.strerror(getattr(errno, name)))
        return real(*args, **kwargs)

    monkeypatch.setattr(os, step, failing)
    refusal = ""
    try:
        save_maps(_maps(2.0), folder)
    except UserError as error:
        refusal = str(error)
    monkeypatch.undo()
    saved = not refusal
    assert saved or "the map was not saved" in refusal
    assert saved or ("Free some disk" in refusal) == (name in FULL)
    maps = load_maps(folder)
    assert float(maps["m"].scale[0]) == (2.0 if saved else 1.0)
    assert f"# {maps.metadata['title']}\n" in (folder / "README.md").read_text()
    assert [item.name for item in tmp_path.iterdir()] == ["map"]
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("name", ERRORS)
def test_the_remedy_fits_the_error(tmp_path, name):
    number = getattr(errno, name)
    with pytest.raises(UserError) as caught, saving("the map was", tmp_path):
        raise OSError(number, os.strerror(number))
    remedies = {"EIO": "Check the disk", "ESTALE": "Check the disk"}
    expected = "Free some disk space" if name in FULL else remedies.get(name, "writable folder")
    assert expected in caught.value.remedy
    assert os.strerror(number) in caught.value.what


def test_a_file_that_cannot_be_synchronised_is_not_written(tmp_path, monkeypatch):
    file = tmp_path / "file"
    write_atomically(file, b"old")
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(errno.EIO, "I/O")))
    with pytest.raises(OSError, match="I/O"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
