"""Previews of a job as HTML."""

from PIL import Image

from app.learn import html as learn_html
from tests.app.fakes import MARKUP


def test_a_strip_is_shown_for_every_quarter(tmp_path):
    file = tmp_path / "preview-0-at-+1.png"
    Image.new("RGB", (512, 512), "red").save(file)
    records = [{"iteration": k, "strengths": [0.0, 1.0], "pictures": [file] * 2} for k in (0, 4)]
    drawing = learn_html.strips(MARKUP, records)
    assert drawing.count("data:image/jpeg") == 4
    assert drawing.index("after 4 iterations") < drawing.index("after 0 iterations")
    assert "original" in drawing
    assert "<img src=x" not in drawing
