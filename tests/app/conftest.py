"""One page for all tests that attack it over HTTP."""

import pytest


@pytest.fixture(scope="session")
def assets(tmp_path_factory):
    """A folder of assets with two tiny models and a map for each."""
    from tests.app.served import tiny_assets  # imports torch, which not all tests here need

    return tiny_assets(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def page(assets, tmp_path_factory):
    """A page and its address."""
    from app.studio.studio import Studio
    from tests.app.served import served

    with served(Studio(tmp_path_factory.mktemp("data"), assets=assets)) as both:
        yield both
