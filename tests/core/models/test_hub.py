from collections import ChainMap
from contextlib import contextmanager
from pathlib import Path

import pytest
from huggingface_hub import hf_hub_download

from lineas_core import UserError
from lineas_core.models.hub import HUB_ERRORS, constants, download_data, failure
from tests.hub import TOKEN, Repository, serve

FILES = {"config.json": b"{}", "model.safetensors": bytes(range(256)) * 200}


@pytest.fixture
def hub():
    repositories = {"some/model": Repository(FILES), "some/gated": Repository(FILES, gated=True)}
    with serve(repositories) as hub:
        yield hub


def _download(hub, folder, repository="some/model", file="model.safetensors", **options):
    place = {"endpoint": hub.url, "cache_dir": folder}
    return hf_hub_download(repository, file, **ChainMap(options, {"token": False}), **place)


@contextmanager
def _explained(source, reason, remedy):
    with pytest.raises(HUB_ERRORS) as raised:
        yield
    found = failure(raised.value, source)
    assert found is not None
    assert reason in found[0]
    assert remedy in found[1]


def test_a_file_is_downloaded_once(hub, tmp_path):
    for _ in range(2):
        file = Path(_download(hub, tmp_path))
        assert file.read_bytes() == FILES["model.safetensors"]
    assert len(hub.downloads()) == 1


def test_a_gated_model_without_a_token_says_where_to_accept_and_how_to_log_in(hub, tmp_path):
    with _explained("some/gated", "no valid token", "https://huggingface.co/some/gated, and run"):
        _download(hub, tmp_path, "some/gated")
    assert _download(hub, tmp_path, "some/gated", token=TOKEN)


def test_a_gated_model_with_the_token_of_another_account_asks_for_access(hub, tmp_path):
    with _explained("some/gated", "has no access", "accept its terms at https://huggingface.co/s"):
        _download(hub, tmp_path, "some/gated", token="hf_of_somebody_else")


def test_a_repository_that_does_not_exist_is_named_as_such(hub, tmp_path):
    with _explained("some/typo", "no such repository", "Check the name"):
        _download(hub, tmp_path, "some/typo")


def test_a_connection_that_is_reset_says_to_run_it_again(hub, tmp_path):
    hub.resets, hub.cuts = True, {"model.safetensors": [1000]}
    with _explained("some/model", "broke off", "Run it again"):
        _download(hub, tmp_path)


def test_a_hub_that_is_away_says_so(hub, tmp_path):
    hub.leaves_at = "config.json"
    with _explained("some/model", "does not answer", "Run it again"):
        _download(hub, tmp_path, file="config.json")


def test_without_network_what_is_not_in_the_cache_is_named_as_such(tmp_path):
    with _explained("some/model", "is not on this machine", "Run it again"):
        hf_hub_download("some/model", "a", cache_dir=tmp_path, local_files_only=True)


def test_another_error_is_not_the_hub_s():
    assert failure(ValueError("a damaged file"), "some/model") is None


def test_a_data_set_that_is_not_to_be_had_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="some/data: the data set could not be downloaded"):
        download_data("some/data", "rows.jsonl")
