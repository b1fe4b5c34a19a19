import stat
import tracemalloc
from io import BytesIO
from zipfile import ZIP_BZIP2, ZIP_DEFLATED, ZipFile, ZipInfo

import pytest
import torch
from PIL import Image

from app.studio import archive
from app.studio.archive import read_imported_map
from lineas_core import AffineMap, PromptSet, SteeringMaps, UserError, load_maps, save_maps
from lineas_core.storage.publishing import contents, pictures_in

MAPS = SteeringMaps({"a": AffineMap(torch.tensor([0.5, 1.0]), torch.tensor([0.1, 0.0]))})
PROMPTS = PromptSet(("a", "b"), ("x", "y"), name="Letters")


def _png(size=(4, 4)):
    data = BytesIO()
    Image.new("RGB", size, "red").save(data, "PNG")
    return data.getvalue()


@pytest.fixture
def folder(tmp_path):
    """A map with prompts and one preview."""
    save_maps(MAPS, tmp_path / "map", prompts=PROMPTS)
    (tmp_path / "map" / "previews").mkdir()
    (tmp_path / "map" / "previews" / "b.PNG").write_bytes(_png())
    return tmp_path / "map"


@pytest.fixture
def parts(folder):
    return contents(folder, pictures_in(folder))


def _zip(folder, parts, method=ZIP_DEFLATED):
    file = folder / "some.zip"
    with ZipFile(file, "w", method) as opened:
        for name, data in parts.items():
            opened.writestr(name, data)
    return file


@pytest.mark.parametrize("root", ["", "my-map/", "deep/er/"])
def test_what_was_handed_on_comes_in_again(folder, parts, root):
    file = _zip(folder, {f"{root}{name}": data for name, data in parts.items()})
    imported = read_imported_map(file)
    torch.testing.assert_close(imported.maps["a"].scale, MAPS["a"].scale)
    assert imported.maps.metadata["title"] == "Letters"
    assert imported.files == {name: parts[name] for name in ("prompts.json", "previews/00.png")}


def test_weights_alone_come_in(folder):
    imported = read_imported_map(folder / "lineas.safetensors")
    assert imported.maps.metadata == load_maps(folder).metadata
    assert imported.files == {}


def test_what_is_unknown_in_a_zip_stays_outside(folder, parts):
    others = dict.fromkeys(("run.py", "previews/a.svg", "previews/deep/a.png"), b"x")
    imported = read_imported_map(_zip(folder, {**parts, **others}))
    assert set(imported.files) == {"prompts.json", "previews/00.png"}


@pytest.mark.parametrize(
    "name", ["../a.txt", "/etc/a.txt", "x/../../a.txt", "C:\\a.txt", "x\\..\\a.txt", "C:a.txt"]
)
def test_a_name_that_leads_out_of_the_folder_is_refused(folder, parts, name):
    with pytest.raises(UserError, match="points outside its folder"):
        read_imported_map(_zip(folder, {**parts, name: b"x"}))


def test_a_link_is_refused(folder, parts):
    file = _zip(folder, parts)
    link = ZipInfo("previews/link.png")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with ZipFile(file, "a") as opened:
        opened.writestr(link, "/etc/passwd")
    with pytest.raises(UserError, match="points outside its folder"):
        read_imported_map(file)


def test_what_is_too_large_is_refused_before_it_is_unpacked(folder, parts, monkeypatch):
    monkeypatch.setattr(archive, "LARGEST", 1 << 20)
    bomb = _zip(folder, {**parts, "previews/big.png": bytes(2 << 20)})
    assert bomb.stat().st_size < 1 << 16
    with pytest.raises(UserError, match="more than 100 files or 1 MB"):
        read_imported_map(bomb)
    with pytest.raises(UserError, match="more than 100 files"):
        read_imported_map(_zip(folder, {**parts, **{f"{k}.txt": b"" for k in range(100)}}))
    (folder / "large.zip").write_bytes(b"PK\x03\x04" + bytes(1 << 20))
    with pytest.raises(UserError, match="more than 1 MB"):
        read_imported_map(folder / "large.zip")


def test_an_entry_that_lies_about_its_size_is_not_inflated(folder, parts):
    """`ZipFile.read` inflates up to 2 GB of an entry, whatever size it declares."""
    size = 64 << 20
    file = _zip(folder, {"previews/big.png": bytes(size), **parts})
    data = file.read_bytes().replace(size.to_bytes(4, "little"), (100).to_bytes(4, "little"))
    file.write_bytes(data)
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match="damaged"):
            read_imported_map(file)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_a_method_that_inflates_at_once_is_refused(folder, parts):
    with pytest.raises(UserError, match="unsupported compression method"):
        read_imported_map(_zip(folder, parts, ZIP_BZIP2))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lineas.safetensors": None}, "0 files named lineas.safetensors"),
        ({"other/lineas.safetensors": b""}, "2 files named lineas.safetensors"),
        ({"lineas.safetensors": b"<html>"}, "not in safetensors format"),
        ({"prompts.json": b'{"source": ["a"'}, "prompts.json, line 1"),
        ({"previews/00.png": b"\x89PNG\r\n\x1a\n"}, "previews/00.png cannot be read"),
        ({"previews/00.png": _png()[:-20]}, "previews/00.png cannot be read"),
        ({"previews/00.png": b"GIF89a" + bytes(20)}, "previews/00.png cannot be read"),
        ({"previews/00.png": _png((4097, 1))}, "wider or higher than 4096"),
    ],
)
def test_a_zip_with_something_unsound_is_refused_by_name(folder, parts, change, sentence):
    sound = {name: data for name, data in {**parts, **change}.items() if data is not None}
    with pytest.raises(UserError, match=sentence) as caught:
        read_imported_map(_zip(folder, sound))
    assert str(folder) not in str(caught.value)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.9])
def test_a_torn_zip_is_refused(folder, parts, place):
    data = _zip(folder, parts).read_bytes()
    (folder / "torn.zip").write_bytes(data[: int(place * len(data))])
    with pytest.raises(UserError, match=r"torn.zip.*it is damaged or has a password"):
        read_imported_map(folder / "torn.zip")


def test_a_zip_with_a_password_is_refused(folder, parts):
    file = _zip(folder, parts)
    data = bytearray(file.read_bytes())
    for magic, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # the flags of an entry
        start = data.find(magic)
        while start >= 0:
            data[start + place] |= 1
            start = data.find(magic, start + 4)
    file.write_bytes(data)
    with pytest.raises(UserError, match="has a password"):
        read_imported_map(file)


@pytest.mark.parametrize("data", [b"", b"\x80\x04K\x01.", b"PK\x05\x06" + bytes(18), b"GGUF"])
def test_what_is_no_map_at_all_is_refused(tmp_path, data):
    (tmp_path / "map.safetensors").write_bytes(data)
    with pytest.raises(UserError, match="not a usable steering map"):
        read_imported_map(tmp_path / "map.safetensors")


def test_previews_keep_their_order_and_are_at_most_sixteen(folder):
    pictures = [folder / "previews" / f"step-{k:02d}.png" for k in range(20)]
    for number, picture in enumerate(pictures):
        picture.write_bytes(bytes([number]))
    files = contents(folder, pictures[::-1])
    shown = {name: data for name, data in files.items() if name.startswith("previews/")}
    assert shown == {f"previews/{k:02d}.png": bytes([19 - k]) for k in range(16)}
