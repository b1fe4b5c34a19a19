import os
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from app.picture_files import write_pictures_once


@pytest.fixture(params=[gr.Image, gr.Gallery])
def shown(request, tmp_path):
    """A function that shows a picture in a component, and returns its file."""
    write_pictures_once()
    component = request.param(format="png", render=False)
    component.GRADIO_CACHE = str(tmp_path)

    def show(image):
        if request.param is gr.Image:
            return Path(component.postprocess(image).path)
        return Path(component.postprocess([(image, "a label")]).root[0].image.path)

    return show


def test_the_file_holds_the_picture_with_what_was_written_into_it(shown):
    image = Image.new("RGB", (8, 8), "red")
    image.info["lineas"] = "a recipe"
    with Image.open(shown(image)) as file:
        assert file.format == "PNG"
        assert file.text["lineas"] == "a recipe"
        assert file.tobytes() == image.tobytes()
    assert shown(Image.new("RGB", (8, 8), "blue")) != shown(image)


def test_a_picture_that_is_shown_again_is_not_written_again(shown):
    file = shown(Image.new("RGB", (8, 8), "red"))
    file.write_bytes(b"being read")
    os.utime(file, (0, 0))
    assert shown(Image.new("RGB", (8, 8), "red")) == file
    assert file.read_bytes() == b"being read"
    assert file.stat().st_mtime > 0  # Gradio removes files by their age
    assert list(file.parent.iterdir()) == [file]
