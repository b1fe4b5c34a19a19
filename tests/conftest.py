"""What holds for all tests."""

import signal

import pytest


@pytest.fixture(autouse=True)
def _signals_stay():
    """Programs that a later test starts inherit ignored signals, and cannot be ended then."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    yield
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
