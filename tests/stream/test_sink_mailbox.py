from __future__ import annotations

import threading

import pytest

from edge3vt.stream.sinks.mailbox import Mailbox

LONG_S = 10


class Slow:
    """Work that waits until it is let go, and says when it has begun."""

    def __init__(self) -> None:
        self.done: list[int] = []
        self.begun, self.go = threading.Event(), threading.Event()

    def __call__(self, item: int) -> None:
        self.begun.set()
        assert self.go.wait(LONG_S)
        self.done.append(item)


def test_all_is_worked_off_in_order_before_it_closes() -> None:
    done: list[int] = []
    mailbox = Mailbox(done.append, depth=100)
    for item in range(50):
        mailbox.put(item)
    assert mailbox.close() is None
    assert done == list(range(50))
    assert (mailbox.written, mailbox.dropped) == (50, 0)


def test_the_oldest_gives_way_and_is_counted() -> None:
    slow = Slow()
    mailbox = Mailbox(slow, depth=3)
    mailbox.put(0)
    assert slow.begun.wait(LONG_S)
    for item in range(1, 9):
        mailbox.put(item)
    slow.go.set()
    assert mailbox.close() is None
    assert slow.done == [0, 6, 7, 8]
    assert (mailbox.written, mailbox.dropped) == (4, 5)


def test_blocking_waits_and_drops_nothing() -> None:
    slow = Slow()
    mailbox = Mailbox(slow, depth=2, block=True)
    feeder = threading.Thread(target=lambda: [mailbox.put(item) for item in range(20)])
    feeder.start()
    assert slow.begun.wait(LONG_S)
    assert feeder.is_alive()
    slow.go.set()
    feeder.join(LONG_S)
    assert mailbox.close() is None
    assert slow.done == list(range(20))
    assert mailbox.dropped == 0


@pytest.mark.parametrize("block", [True, False])
def test_after_an_error_all_counts_as_dropped_and_nobody_waits(block: bool) -> None:
    def work(item: int) -> None:
        if item == 2:
            raise OSError("disk full")

    mailbox = Mailbox(work, depth=2, block=block)
    for item in range(20):
        mailbox.put(item)
    error = mailbox.close()
    assert str(error) == "disk full" or (not block and mailbox.written < 20)
    assert mailbox.written + mailbox.dropped == 20
    if block:
        assert mailbox.written == 2


def test_finishing_happens_in_the_thread_and_its_error_is_told() -> None:
    names = []

    def finish() -> None:
        names.append(threading.current_thread().name)
        raise OSError("no space for the index")

    mailbox: Mailbox[int] = Mailbox(lambda item: None, depth=2, finish=finish)
    mailbox.put(1)
    assert str(mailbox.close()) == "no space for the index"
    assert names == ["sink"]
    assert mailbox.written == 1


def test_idle_is_called_while_nothing_comes() -> None:
    called = threading.Event()
    mailbox: Mailbox[int] = Mailbox(lambda item: None, depth=1, idle=called.set, idle_s=0.001)
    assert called.wait(LONG_S)
    assert mailbox.close() is None


def test_closing_without_draining_drops_what_waits() -> None:
    slow = Slow()
    mailbox = Mailbox(slow, depth=5)
    mailbox.put(0)
    assert slow.begun.wait(LONG_S)
    mailbox.put(1)
    mailbox.put(2)
    threading.Timer(0.01, slow.go.set).start()
    assert mailbox.close(drain=False) is None
    assert slow.done == [0]
    assert mailbox.dropped == 2
