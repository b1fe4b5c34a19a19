"""Models whose files are damaged are refused before they can answer."""

import os
import shutil

import pytest

from lineas_core import UserError, load_model
from lineas_core.models import LanguageModel, damage
from lineas_core.models.integrity import list_files
from lineas_core.paths import ASSETS
from tests.fakes import save_model, tiny_language_model, tiny_pipeline


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    save_model(tiny_language_model(), folder)
    return folder


@pytest.fixture(params=["listed", "not listed"])
def folder(request, whole, tmp_path):
    """A copy of the model, with a list of its files or without."""
    folder = shutil.copytree(whole, tmp_path / "model")
    if request.param == "listed":
        list_files(folder)
    return folder


def test_a_whole_model_is_whole(folder):
    assert damage(folder) == ""
    assert load_model(str(folder)).kind == "language"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_file_is_named_and_the_model_refused(folder, name):
    (folder / name).unlink()
    word = name.partition(".")[0] if name == "tokenizer.json" else ""
    assert (word or name) in damage(folder) or "no weights" in damage(folder)
    with pytest.raises(UserError, match="its files are damaged"):
        load_model(str(folder))


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_weights_that_are_cut_short_are_refused_without_advice_about_the_network(folder, share):
    weights = folder / "model.safetensors"
    os.truncate(weights, int(weights.stat().st_size * share))
    with pytest.raises(UserError, match="damaged.*Copy or download them again") as caught:
        load_model(str(folder))
    assert "network" not in str(caught.value)


def test_a_flipped_bit_is_found_by_the_checksum(folder):
    listed = (folder / "files.json").exists()
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    assert damage(folder) == ""
    expected = "the checksum of model.safetensors differs" if listed else "without checksums"
    assert expected in damage(folder, hashes=True)


def test_a_model_without_its_vocabulary_never_answers(folder):
    """Without `tokenizer.json`, transformers makes an empty tokenizer, and texts are empty."""
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="could not be loaded.*incomplete or damaged"):
        LanguageModel.load(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'{"a": 1}'])
def test_a_damaged_list_counts_as_damage(whole, tmp_path, content):
    folder = shutil.copytree(whole, tmp_path / "model")
    (folder / "files.json").write_bytes(content)
    assert damage(folder) or content == b"{}"


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ("unet", "unet is missing"),
        ("unet/diffusion_pytorch_model.safetensors", "unet has no weights"),
        ("tokenizer_2/*", "tokenizer_2 has no tokenizer"),
        ("scheduler", "scheduler is missing"),
    ],
)
def test_a_pipeline_needs_every_component(tmp_path, lost, reason):
    tiny_pipeline().save_pretrained(tmp_path)
    assert damage(tmp_path) == ""
    for path in tmp_path.glob(lost):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert reason in damage(tmp_path)
    with pytest.raises(UserError, match=reason):
        load_model(str(tmp_path))


def test_the_shipped_model_is_whole():
    assert damage(ASSETS / "models" / "emoji-world") == ""
