from concurrent.futures import ThreadPoolExecutor

import torch
from transformers import PreTrainedModel

from lineas_core import load_model
from tests.fakes import save_model, tiny_image_model, tiny_language_model


def test_loads_in_several_threads_leave_the_libraries_as_they_were(tmp_path):
    save_model(tiny_language_model(), tmp_path / "text")
    save_model(tiny_image_model(), tmp_path / "images")
    before = PreTrainedModel.tie_weights, PreTrainedModel.init_weights, torch.get_default_dtype()

    def load(number):
        folder = tmp_path / ("text", "images")[number % 2]
        return load_model(str(folder), dtype=(torch.float32, torch.float16)[number % 3 % 2])

    with ThreadPoolExecutor(6) as threads:
        assert len(list(threads.map(load, range(18)))) == 18
    after = PreTrainedModel.tie_weights, PreTrainedModel.init_weights, torch.get_default_dtype()
    assert after == before
