from threading import Event, Thread

from app.studio.fair_lock import FairLock


def test_who_waits_comes_before_who_has_just_had_it():
    turns, order, had = FairLock(), [], Event()

    def wait():
        with turns:
            order.append("waiter")
            had.set()

    waiter = Thread(target=wait)
    with turns:
        waiter.start()
        while not turns.wanted():
            pass
    with turns:  # at once again
        order.append("first")
    waiter.join()
    assert had.is_set()
    assert order == ["waiter", "first"]
    assert not turns.locked()
