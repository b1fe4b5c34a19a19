"""Texts of untrusted PNG files; nothing in them is decoded or decompressed."""

import json
import struct
import zlib

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from lineas_core import UserError
from lineas_core.pictures import Recipe, read_recipe, save_png
from lineas_core.storage.png_text import png_texts

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _file(tmp_path, *chunks):
    path = tmp_path / "picture.png"
    path.write_bytes(SIGNATURE + b"".join(chunks))
    return path


def _carrying(tmp_path, text):
    return _file(tmp_path, _chunk(b"tEXt", b"lineas\0" + text.encode()))


def test_a_recipe_comes_back_as_it_was_written(tmp_path):
    recipe = Recipe("浮世絵 🦊", 7, "tiny", 8, "LCMScheduler", [("ukiyo-e", 0.5)])
    assert read_recipe(save_png(Image.new("RGB", (8, 8)), tmp_path / "a.png", recipe)) == recipe


def test_the_texts_are_those_that_pillow_reads(tmp_path):
    texts = PngInfo()
    texts.add_text("plain", "a line\nand é")
    texts.add_itxt("international", "浮世絵", lang="ja", tkey="x")
    Image.new("RGB", (300, 300)).save(tmp_path / "a.png", pnginfo=texts)
    with Image.open(tmp_path / "a.png") as image:
        assert png_texts(tmp_path / "a.png") == image.text


def test_neither_pixels_nor_packed_texts_are_unpacked(tmp_path):
    header = struct.pack(">IIBBBBB", 2**31 - 1, 2**31 - 1, 16, 6, 0, 0, 0)  # exabytes of pixels
    bomb = zlib.compress(b"x" * 10_000_000)
    file = _file(
        tmp_path,
        _chunk(b"IHDR", header),
        _chunk(b"zTXt", b"lineas\0\0" + bomb),
        _chunk(b"iTXt", b"lineas\0\1\0\0\0" + bomb),
        _chunk(b"tEXt", b"lineas\0" + b"x" * 70_000),  # longer than any of ours
        _chunk(b"IDAT", bomb),
        _chunk(b"tEXt", b"comment\0after the pixels"),
        _chunk(b"IEND", b""),
        b"whatever follows",
    )
    assert png_texts(file) == {"comment": "after the pixels"}


@pytest.mark.parametrize(
    "rest",
    [b"", b"\0\0", b"\xff" * 8, b"\xff\xff\xff\xfftEXtlineas\0{}", _chunk(b"iTXt", b"lineas")],
)
def test_a_broken_file_has_no_texts(tmp_path, rest):
    assert png_texts(_file(tmp_path, rest)) == {}


@pytest.mark.parametrize("content", [b"", b"GIF89a", b"<svg/>", SIGNATURE[:7]])
def test_what_is_no_png_file_is_one_sentence(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(UserError, match="not a PNG file"):
        png_texts(tmp_path / "a.png")


def test_a_picture_without_a_recipe_says_what_to_choose(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match="contains no recipe. Choose a PNG file exactly as it was"):
        read_recipe(tmp_path / "a.png")


FACTS = {"prompt": "a", "seed": 1, "model": "m", "size": 8, "scheduler": "s", "maps": []}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 60_000,
        json.dumps({**FACTS, "prompt": None}),
        json.dumps({**FACTS, "model": ["m"]}),
        json.dumps({**FACTS, "maps": 1}),
        json.dumps({**FACTS, "maps": [["title"]]}),
        json.dumps({**FACTS, "maps": [[1, 2]]}),
        json.dumps({"prompt": "a"}),
        '{"seed": ' + "9" * 5000 + "}",
    ],
)
def test_a_recipe_in_another_form_is_one_sentence(tmp_path, text):
    with pytest.raises(UserError, match="cannot be read"):
        read_recipe(_carrying(tmp_path, text))
