import pytest

from lineas_core.models.reading import MAX_TOKENS, load_reader
from tests.fakes import save_model, tiny_image_model, tiny_language_model

LONG = "a" * 20  # the tiny picture model reads 16 tokens, of which two are marks


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    save_model(tiny_image_model(encoders=2), folder)
    return load_reader(folder)


def test_prompts_that_are_read_whole_are_not_mentioned(pictures):
    assert pictures.describe(["a" * 14, "b"], ["c"]) == []
    assert pictures.truncated(["a" * 14]) == 0


def test_cut_prompts_are_counted_with_what_the_model_reads(pictures):
    (sentence,) = pictures.describe([LONG, "b"], ["b" + LONG])
    assert sentence.startswith("2 prompts are longer than the model reads (16 tokens, about 12 w")
    (sentence,) = pictures.describe(["b"], [LONG])
    assert sentence.startswith("1 prompt is longer")


def test_a_difference_behind_the_cut_is_named(pictures):
    _, sentence = pictures.describe([LONG + "b", "c"], [LONG + "d", "e"])
    assert sentence.startswith("1 source prompt differs from the target prompts only in what is")
    assert len(pictures.describe([LONG], [LONG])) == 1  # these do not differ at all


def test_a_reader_from_files_agrees_with_the_loaded_model(pictures, tmp_path):
    model = tiny_image_model()
    assert pictures.truncated([LONG, "a"]) == model.truncated([LONG, "a"]) == 1
    texts = tiny_language_model()
    save_model(texts, tmp_path)
    prompts = ["a" * MAX_TOKENS, "a" * (MAX_TOKENS - 1)]  # with the mark of the beginning
    assert load_reader(tmp_path).truncated(prompts) == texts.reader.truncated(prompts) == 1


def test_a_model_that_is_not_there_has_no_reader(tmp_path):
    assert load_reader(tmp_path / "none") is None
    assert load_reader(tmp_path) is None
