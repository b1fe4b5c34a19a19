"""What the README says about programs works word for word, against a real page."""

import re
from pathlib import Path

import pytest

from app.studio.studio import Studio
from lineas_core.models import installed
from tests.browser.pages import served

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.skipif(not installed("smollm2-135m"), reason="SmolLM2 is not installed")
def test_the_readme_s_client_example_works_word_for_word(tmp_path, capsys):
    (code,) = re.findall(r"```python\n(from gradio_client.*?)```", README.read_text("utf-8"), re.S)
    with served(Studio(tmp_path)) as address:
        exec(code.replace("http://127.0.0.1:7860", address), {})
        told = capsys.readouterr().out
    assert "football-smollm2-135m" in told
    assert int(told.split()[-1]) > 10_000  # characters of a PNG file
