from __future__ import annotations

import multiprocessing.spawn
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge3vt.core.clock import NS_PER_MS, SystemClock
from edge3vt.core.errors import BackendMissingError, DataError
from edge3vt.data.decoder import MOST_WORKERS, Decoder, Undecoded, decode_all, usual_workers

# What the children run must be importable there by name, so it comes from the standard library, from the package,
# or from a module that a test writes.
PLANTED = """
import os, signal, time
import numpy as np
from edge3vt.core.errors import BackendMissingError, DataError

def square(n): return n * n
def refuse(where): raise DataError(f"{where}: no\\nclip; export it again")
def lack(where): raise BackendMissingError(f"{where}: needs a decoder; pip install it")
def err(where): raise ValueError("DOE^JANE")
def crash(where): os._exit(7)
def fault(where): os.kill(os.getpid(), signal.SIGSEGV)
def leave(where): raise SystemExit(3)
def hang(where): time.sleep(60)
def stall(where):
    yield 1
    time.sleep(60)
def hog(where): return [bytearray(64 << 20) for _ in range(100)]
def count(n): yield from range(n)
def half(n):
    yield from range(n)
    raise DataError("half: torn; copy it again")
def late(n):
    for i in range(n):
        time.sleep(0.05)
        yield i
def large(n): return np.arange(n, dtype=np.uint8)
def end_of_file(where): raise EOFError
def no_pickle(where): return lambda: None
def pid(): return os.getpid()
def sometimes(n):
    if n % 7 == 3: os._exit(1)
    if n % 7 == 5: raise DataError(f"{n}: odd")
    return n
def noisy(n):
    os.write(2, b"DOE^JANE"); print("DOE^JANE"); return n
kept = []
def leak(n):
    kept.append(bytearray(n << 20))
    return n
def crash_if_used(n):
    kept.append(n)
    if len(kept) > 1: os._exit(1)
    return n
"""


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder = tmp_path_factory.mktemp("planted")
    (folder / "planted_readers.py").write_text(PLANTED, encoding="utf-8")
    sys.path.insert(0, str(folder))  # a spawned child takes it over
    try:
        import planted_readers  # type: ignore[import-not-found]

        yield planted_readers
    finally:
        sys.path.remove(str(folder))


@pytest.fixture(scope="module")
def decoder(planted: Any) -> Iterator[Decoder]:
    with Decoder() as child:
        yield child


def test_a_call_and_its_result(decoder: Decoder, planted: Any) -> None:
    assert decoder.call(planted.square, 12) == 144
    assert np.array_equal(decoder.call(planted.large, 5 << 20), np.arange(5 << 20, dtype=np.uint8))
    assert decoder.call(planted.noisy, 3) == 3
    assert decoder.call(planted.pid) == decoder.call(planted.pid) != os.getpid()


def test_what_a_child_prints_is_not_seen(decoder: Decoder, planted: Any, capfd: pytest.CaptureFixture[str]) -> None:
    decoder.call(planted.noisy, 3)
    assert capfd.readouterr() == ("", "")


def test_an_iterator_comes_back_as_a_list(decoder: Decoder, planted: Any) -> None:
    assert decoder.call(planted.count, 5) == [0, 1, 2, 3, 4]
    assert decoder.call(planted.late, 10, timeout_s=0.4) == list(range(10))  # the limit is for each item
    with pytest.raises(DataError, match="half: torn; copy it again"):
        decoder.call(planted.half, 5)
    assert decoder.call(planted.square, 2) == 4


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("refuse", r"^x.dcm: no\\nclip; export it again$"),
        ("err", r"^x.dcm: the reader failed \(ValueError at planted_readers.py:9\); export"),
        ("end_of_file", r"the reader failed \(EOFError at"),
        ("no_pickle", "^x.dcm: the reader failed"),
        ("crash", r"^x.dcm: the reader crashed \(exit code 7\)"),
        ("fault", rf"^x.dcm: the reader crashed \(signal {int(signal.SIGSEGV)}\)"),
        ("leave", r"^x.dcm: the reader crashed \(exit code 3\)"),
        ("hang", "^x.dcm: not read within 0.3 s"),
        ("stall", "^x.dcm: not read within 0.3 s"),
        ("hog", "^x.dcm: needs more than 1024 MiB to read"),
    ],
)
def test_a_bad_job_is_one_line_and_the_next_is_read(decoder: Decoder, planted: Any, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        decoder.call(getattr(planted, name), Path("x.dcm"), timeout_s=0.3 if name in ("hang", "stall") else 5)
    assert "\n" not in str(caught.value)
    assert "DOE" not in str(caught.value)
    assert decoder.call(planted.square, 3) == 9


def test_a_file_that_lacks_a_decoder_only_is_told_apart(decoder: Decoder, planted: Any) -> None:
    with pytest.raises(Undecoded, match=r"^x\.dcm: needs a decoder; pip install it$"):
        decoder.call(planted.lack, Path("x.dcm"))
    with pytest.raises(DataError) as caught:
        decoder.call(planted.refuse, Path("x.dcm"))
    assert not isinstance(caught.value, Undecoded)


def test_only_a_fresh_child_is_believed(planted: Any) -> None:
    with Decoder(memory_mib=400) as child:
        assert [child.call(planted.leak, n) for n in (100, 100, 100, 100)] == [100] * 4
        assert [child.call(planted.crash_if_used, n) for n in range(3)] == [0, 1, 2]
        with pytest.raises(DataError, match="needs more than 400 MiB"):
            child.call(planted.leak, 500)


def test_a_child_that_was_killed_between_calls_is_replaced(decoder: Decoder, planted: Any) -> None:
    os.kill(decoder.call(planted.pid), signal.SIGKILL)
    assert decoder.call(planted.square, 3) == 9


@pytest.mark.parametrize("program", ["/bin/false", "/nowhere/python"])
def test_a_child_that_cannot_start_is_said_once(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", os.fsencode(program))
    with Decoder() as child, pytest.raises(BackendMissingError, match="does not start"):
        child.call(os.getpid)
    taken = []
    with pytest.raises(BackendMissingError, match="does not start"):
        list(decode_all(abs, (taken.append(n) or n for n in range(1000)), 2))
    assert len(taken) == 4


def test_a_function_that_the_child_cannot_import_is_no_fault_of_the_file(decoder: Decoder, planted: Any) -> None:
    stranger = type(planted)("elsewhere")
    exec("def read(job): return job", stranger.__dict__)
    sys.modules["elsewhere"] = stranger
    try:
        with pytest.raises(BackendMissingError, match="No module named 'elsewhere'"):
            decoder.call(stranger.read, 1)
    finally:
        del sys.modules["elsewhere"]


def test_all_jobs_in_order_whatever_happens(planted: Any) -> None:
    taken: list[int] = []

    def jobs() -> Iterator[int]:
        for n in range(20):
            taken.append(n)
            yield n

    for place, (job, result) in enumerate(decode_all(planted.sometimes, jobs(), 2)):
        assert job == place
        assert len(taken) <= place + 4
        if job % 7 in (3, 5):
            assert isinstance(result, DataError)
        else:
            assert result == job
    assert place == 19
    assert list(decode_all(planted.square, [], 2)) == []


def test_workers_are_no_more_than_fit_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    for cores, workers in ((2, 2), (64, MOST_WORKERS)):
        monkeypatch.setattr("edge3vt.data.decoder.usable_cores", lambda cores=cores: cores)
        assert usual_workers() == workers


def test_leaving_early_ends_the_children(planted: Any) -> None:
    before = set(multiprocessing.active_children())  # of other tests
    results = decode_all(planted.square, range(1000), 2)
    assert next(results) == (0, 0)
    results.close()
    assert set(multiprocessing.active_children()) <= before


def test_an_orphan_ends_itself(tmp_path: Path, planted: Any) -> None:
    """A parent that is killed leaves no child behind, not even one that hangs."""
    script = tmp_path / "parent.py"
    script.write_text(
        textwrap.dedent(f"""
        import sys
        from threading import Thread
        from time import sleep
        sys.path.insert(0, {str(Path(planted.__file__).parent)!r})
        from edge3vt.data.decoder import Decoder
        import planted_readers
        if __name__ == "__main__":
            decoder = Decoder()
            print(decoder.call(planted_readers.pid), flush=True)
            Thread(target=decoder.call, args=(planted_readers.hang, 1), kwargs={{"timeout_s": 1.5}}).start()
            sleep(60)
        """),
        encoding="utf-8",
    )
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        parent.kill()
    for _ in range(100):
        if not alive(child):
            return
        SystemClock().sleep_until_ns(SystemClock().now_ns() + 100 * NS_PER_MS)
    os.kill(child, signal.SIGKILL)
    pytest.fail("the child outlived its parent")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
