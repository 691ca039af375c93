"""Where tasks run: processes of this machine, or a Dask cluster; and how much of it each may use.

Everything goes through one `concurrent.futures.Executor`, which the models of a run share. There is
a place for each worker. A task takes one place, and its DuckDB gets a share of the memory. A task
that needs more is tried again when it has the whole machine, and so is a task whose worker died.
"""

import atexit
import multiprocessing
import os
import re
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    BrokenExecutor,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import replace
from functools import cache
from multiprocessing.context import ForkServerContext, ForkServerProcess
from types import ModuleType
from typing import Final

from ticklake.lake.errors import LakeError
from ticklake.lake.tasks import MEMORY_EACH, Outcome, Task, run

WORKERS: Final = "TICKLAKE_WORKERS"
"""Environment variable: how many units are built side by side; by default one for each core."""
MEMORY: Final = "TICKLAKE_MEMORY"
"""Environment variable: what DuckDB may use on this machine, in all workers together."""
LARGE: Final = 32 << 20
"""Bytes of input that are worth another thread, if one would be idle."""
PRELOADED: Final = ("ticklake.lake.tasks", "ticklake.microstructure.compiled")
"""Modules that a worker has from its start: the process that workers are forked from loads them."""


class Workers:
    """An executor that is started when the first task comes, and its places."""

    def __init__(self, count: int, memory: int, start: Callable[[], Executor]) -> None:
        self.count, self._memory, self._start = count, memory, start
        self._executor: Executor | None = None
        self._changed = threading.Condition()
        self._free = count
        self._all_wanted = 0
        """How many tasks wait for the whole machine: then no other begins."""

    def run(self, tasks: Iterable[Task], *, is_threaded: bool) -> Iterator[tuple[Task, Outcome]]:
        """Run tasks, and yield each with its outcome when it is done.

        If tasks are few and `is_threaded`, a task of large input takes the place of several, and
        DuckDB has a thread for each.
        """
        waiting, again = deque(tasks), deque[Task]()
        running: dict[Future[Outcome], tuple[Task, int]] = {}
        done: deque[Future[Outcome]] = deque()
        try:
            while waiting or running:
                with self._changed:
                    self._changed.wait_for(lambda: done or (waiting and self._is_free()))
                    while waiting and self._is_free():
                        places = self._places(waiting[0], len(waiting), is_threaded)
                        self._free -= places
                        task = self._sized(waiting.popleft(), places)
                        future = self._submit(task, done)
                        running[future] = task, places
                while done:
                    future = done.popleft()
                    task, places = running.pop(future)
                    self._give_back(places)
                    outcome = self._outcome(future)
                    if outcome is None or (outcome.lacks_memory and places < self.count):
                        again.append(task)
                    else:
                        yield task, outcome
            while again:
                yield from self._alone(again.popleft(), again)
        finally:
            with self._changed:  # nobody waits for what still runs
                self._free += sum(places for _, places in running.values())
                self._changed.notify_all()

    def close(self) -> None:
        """End the workers."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(cancel_futures=True)

    def _alone(self, task: Task, again: deque[Task]) -> Iterator[tuple[Task, Outcome]]:
        """Run a task while no other runs. One whose worker dies again is tried unit by unit."""
        with self._changed:
            self._all_wanted += 1
            self._changed.wait_for(lambda: self._free == self.count)
            self._all_wanted -= 1
            self._free = 0
            task = self._sized(task, self.count)
            future = self._submit(task, deque())
        try:
            outcome = self._outcome(future)
        finally:
            self._give_back(self.count)
        if outcome is not None:
            yield task, outcome
        elif len(task.units) > 1:
            again.extend(replace(task, batches=((unit,),)) for unit in task.units)
        else:
            why = "the process that built it died twice"
            yield task, Outcome(failures={task.units[0].key: why})

    def _is_free(self) -> bool:
        return self._free > 0 and not self._all_wanted

    def _places(self, task: Task, waiting: int, is_threaded: bool) -> int:
        if not is_threaded:
            return 1
        size = sum(unit.size for unit in task.units)
        return min(max(1, self._free // waiting), 1 + size // LARGE)

    def _sized(self, task: Task, places: int) -> Task:
        return replace(task, threads=places, memory=self._memory * places // self.count)

    def _submit(self, task: Task, done: deque[Future[Outcome]]) -> Future[Outcome]:
        def finished(future: Future[Outcome]) -> None:
            with self._changed:
                done.append(future)
                self._changed.notify_all()

        if self._executor is None:
            self._executor = self._start()
        try:
            future = self._executor.submit(run, task)
        except BrokenExecutor:  # a worker died since the last task
            self._executor = self._start()
            future = self._executor.submit(run, task)
        future.add_done_callback(finished)
        return future

    def _give_back(self, places: int) -> None:
        with self._changed:
            self._free += places
            self._changed.notify_all()

    def _outcome(self, future: Future[Outcome]) -> Outcome | None:
        """Return what became of a task; None if its worker died."""
        try:
            return future.result()
        except BrokenExecutor:  # `_submit` starts another one
            return None


@cache
def workers() -> Workers:
    """Return the workers of this process."""
    count = worker_count()
    memory = memory_of(count)
    if count == 1:
        found = Workers(1, memory, lambda: ThreadPoolExecutor(1))
    else:
        found = Workers(count, memory, lambda: _processes(count))
    atexit.register(found.close)
    return found


def worker_count() -> int:
    """Return how many units are built side by side. Raises LakeError if it is not a number."""
    text = os.environ.get(WORKERS) or str(len(os.sched_getaffinity(0)))
    if not text.isdecimal() or int(text) < 1:
        raise LakeError(f"{WORKERS} is {text!r}. Set it to a number of processes, such as 2.")
    return int(text)


def memory_of(count: int) -> int:
    """Return the bytes that DuckDB may use in so many workers together."""
    text = os.environ.get(MEMORY)
    if not text:
        return count * MEMORY_EACH
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([KMGT]?)(i?)B", text.strip(), re.IGNORECASE)
    if not found:
        raise LakeError(f"{MEMORY} is {text!r}. Set it to an amount of memory, such as 4GB.")
    number, scale, is_binary = found.groups()
    return int(float(number) * (1024 if is_binary else 1000) ** " KMGT".index(scale.upper() or " "))


class _WorkerProcess(ForkServerProcess):
    """A process that does not import the script that the driver runs: dbt's takes a second."""

    def start(self) -> None:
        script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class _Context(ForkServerContext):
    Process = _WorkerProcess


def _processes(count: int) -> Executor:
    """Return a pool of processes that end with this one, however it ends."""
    context = _Context()
    context.set_forkserver_preload(list(PRELOADED))
    return ProcessPoolExecutor(count, mp_context=context, initializer=_begin)


def _begin() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # Ctrl-C ends all processes at once
    parent = multiprocessing.parent_process()
    assert parent is not None, "workers are started by another process"

    def end_with_parent() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
