"""A child process that reads what nobody has checked: it may crash, hang or eat memory, and is then replaced."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import signal
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any, TypeVar

from edge3vt.core.errors import BackendMissingError, DataError, Edge3vtError
from edge3vt.core.machine import usable_cores

try:
    import resource
except ModuleNotFoundError:  # pragma: no cover - Windows has no limit to set
    resource = None  # type: ignore[assignment]

TIMEOUT_S = 5.0
MEMORY_MIB = 1024
START_S = 60.0  # to start a child, or to import what it was asked to run; our own choice
MOST_WORKERS = 8  # by default: a reader of pictures takes up to 90 MiB, the parent 200 MiB, so that all fit into 1 GB
J = TypeVar("J")


class Undecoded(DataError):
    """A file that a decoder which is not installed would read."""


class Decoder:
    """One persistent spawned child, started at the first call. Not for two threads at once.

    memory_mib: limit of the child's address space (RLIMIT_AS, where the platform has it); about 400 MiB of it are
    taken by OpenCV, PyAV and pydicom.
    """

    def __init__(self, memory_mib: int = MEMORY_MIB) -> None:
        self._memory_mib = memory_mib
        self._process: BaseProcess | None = None
        self._connection: Connection | None = None

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def call(self, function: Callable[..., Any], *args: Any, timeout_s: float = TIMEOUT_S) -> Any:
        """``function(*args)``, run in the child; an iterator comes back as a list, with the time limit per item.

        function, args, result: picklable. str(args[0]) names the job in messages.
        Raises DataError where the function raised, the child died, or time or memory ran out; the first child to
        fail after other jobs may suffer from what they left, so a crash or want of memory counts only in a fresh one.
        Raises Undecoded where the function raised BackendMissingError, and BackendMissingError where no child starts
        or the function cannot be imported there.
        """
        where = str(args[0]) if args else function.__name__
        fresh = self._process is None
        outcome, value = self._tried(function, args, timeout_s)
        if outcome in ("crash", "memory") and not fresh:
            outcome, value = self._tried(function, args, timeout_s)
        match outcome:
            case "done":
                return value
            case "refused":
                raise DataError(value)
            case "undecoded":
                raise Undecoded(value)
            case "failed":
                raise DataError(f"{where}: the reader failed ({value}); export or copy the file again, or leave it out")
            case "absent":
                raise BackendMissingError(f"{where}: the reader does not start ({value}); install the package again")
            case "memory":
                raise DataError(f"{where}: needs more than {self._memory_mib} MiB to read; cut the clip, or shrink it")
            case "late":
                raise DataError(f"{where}: not read within {timeout_s:g} s; export it again, or leave it out")
            case _:
                raise DataError(
                    f"{where}: the reader crashed ({value}); export or copy the file again, or leave it out"
                )

    def close(self) -> None:
        """End the child; a later call starts another."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            if self._process.pid is not None:  # it was started
                self._process.kill()
                self._process.join()
            self._process.close()
        self._process = self._connection = None

    def _tried(self, function: Callable[..., Any], args: tuple[Any, ...], timeout_s: float) -> tuple[str, Any]:
        """(outcome, result or reason); the child is ended unless it is sound."""
        sound = False
        try:
            connection = self._started()
            connection.send((function, args, timeout_s))
            if not connection.poll(START_S):
                return "absent", f"nothing was imported within {START_S:g} s"
            outcome, value = connection.recv()
            if outcome == "begun":
                outcome, value = _collected(connection, timeout_s)
            sound = outcome in ("done", "refused", "undecoded", "failed")
            return outcome, value
        except (EOFError, OSError):  # the pipe broke
            return "crash", self._exit()
        finally:
            if not sound:
                self.close()

    def _started(self) -> Connection:
        """The pipe to a child that said it is ready; raises BackendMissingError, so that nobody tries for ever."""
        if self._connection is not None:
            return self._connection
        context = get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(
            target=_serve, args=(theirs, self._memory_mib << 20), daemon=True, name="edge3vt-reader"
        )
        try:
            self._process.start()
            theirs.close()
            if self._connection.poll(START_S) and self._connection.recv() == "ready":
                return self._connection
            reason = f"no sign of life within {START_S:g} s"
        except (EOFError, OSError) as error:
            reason = self._exit() if isinstance(error, EOFError) else str(error)
        raise BackendMissingError(f"the process that reads files does not start ({reason}); free memory and try again")

    def _exit(self) -> str:
        """How the child ended."""
        if self._process is None:
            return "it is gone"
        self._process.join(START_S)
        code = self._process.exitcode
        return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"


def usual_workers() -> int:
    """One a core, as far as memory goes."""
    return min(usable_cores(), MOST_WORKERS)


def decode_all(
    function: Callable[[J], Any],
    jobs: Iterable[J],
    workers: int,
    *,
    timeout_s: float = TIMEOUT_S,
    memory_mib: int = MEMORY_MIB,
) -> Generator[tuple[J, Any], None, None]:
    """``(job, function(job))`` for every job, in order, or (job, DataError); one child for each of ``workers``.

    At most two jobs a worker are taken from ``jobs`` ahead of what was yielded.
    """
    decoders = [Decoder(memory_mib) for _ in range(workers)]
    idle: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
    for decoder in decoders:
        idle.put(decoder)

    def one(job: J) -> Any:
        decoder = idle.get()
        try:
            return decoder.call(function, job, timeout_s=timeout_s)
        except DataError as error:
            return error
        finally:
            idle.put(decoder)

    pending: deque[tuple[J, Future[Any]]] = deque()
    with ThreadPoolExecutor(workers) as threads:
        try:
            for job in jobs:
                pending.append((job, threads.submit(one, job)))
                if len(pending) == 2 * workers:
                    earliest, future = pending.popleft()
                    yield earliest, future.result()
            while pending:
                earliest, future = pending.popleft()
                yield earliest, future.result()
        finally:
            threads.shutdown(cancel_futures=True)
            for decoder in decoders:
                decoder.close()


def _collected(connection: Connection, timeout_s: float) -> tuple[str, Any]:
    """What a child that has begun answers: its items, if any, then the outcome."""
    items = []
    while connection.poll(timeout_s):
        outcome, value = connection.recv()
        if outcome == "item":
            items.append(value)
        else:
            return ("done", items) if outcome == "end" else (outcome, value)
    return "late", None


def _serve(connection: Connection, memory: int) -> None:
    """The child: run what comes, until the pipe closes. Nothing it prints is wanted, and Ctrl-C is the parent's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "OPENCV_FOR_THREADS_NUM"):
        os.environ[name] = "1"  # one child a core; each further thread takes address space
    if resource is not None:
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = memory if hard == resource.RLIM_INFINITY else min(memory, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    connection.send("ready")
    with contextlib.suppress(EOFError, OSError):  # the parent is gone
        while True:
            for answer in _answers(connection.recv_bytes()):
                connection.send_bytes(answer)


def _answers(call: bytes) -> Iterator[bytes]:
    """Run one pickled call; pickled (outcome, value) pairs."""
    try:
        function, args, timeout_s = pickle.loads(call)
    except Exception as error:
        yield pickle.dumps(("absent", _one_line(error)))
        return
    yield pickle.dumps(("begun", None))
    try:
        _alarm(timeout_s)
        result = function(*args)
        if isinstance(result, Iterator):
            for item in result:
                yield pickle.dumps(("item", item), pickle.HIGHEST_PROTOCOL)
                _alarm(timeout_s)
            yield pickle.dumps(("end", None))
        else:
            yield pickle.dumps(("done", result), pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        yield pickle.dumps(("memory", None))
    except BackendMissingError as error:
        yield pickle.dumps(("undecoded", _one_line(error)))
    except Edge3vtError as error:
        yield pickle.dumps(("refused", _one_line(error)))
    except Exception as error:  # a fault of the reader; its text may quote the file, so it is not passed on
        last = traceback.extract_tb(error.__traceback__)[-1]
        yield pickle.dumps(("failed", f"{type(error).__name__} at {os.path.basename(last.filename)}:{last.lineno}"))
    finally:
        _alarm(None)


def _alarm(timeout_s: float | None) -> None:
    """Should the parent be gone and the call hang, this ends the process."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0 if timeout_s is None else timeout_s + 1)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
