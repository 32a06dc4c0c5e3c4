"""What is asked of an engine."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from dataset import Dataset
from queries import Answer, Query

BATCH_EVENTS = 500
CONNECTIONS = 4


class Engine(ABC):
    """An engine with its data in a folder of its own."""

    title: str
    durability: str
    """What is on disk when a batch is acknowledged."""
    loading: str
    """How batches get in."""
    settling: str
    """What is done between loading and measuring, and which bytes are counted."""
    bulk_loading: str | None = None
    """How everything gets in at once, where that is another way."""

    def __init__(self, folder: Path, annals: Path) -> None:
        self.folder = folder
        self.annals = annals

    @abstractmethod
    def open(self) -> None:
        """Starts the engine, and makes what is missing."""

    @abstractmethod
    def version(self) -> str: ...

    def load_bulk(self, parts: list[Path]) -> float:
        """Stores the rows beside the others, and drops them again; the seconds that storing took."""
        raise NotImplementedError

    @abstractmethod
    def load(self, data: Dataset, seed: int) -> float:
        """Stores all events in batches; the seconds that it took."""

    @abstractmethod
    def settle(self) -> None:
        """Does, or waits for, what a good operator would before questions are asked."""

    @abstractmethod
    def disk_bytes(self) -> int: ...

    @abstractmethod
    def ask(self, query: Query) -> Any:
        """Asks, and takes the whole answer. This is what is timed."""

    @abstractmethod
    def answer(self, asked: Any) -> Answer:
        """What the engine said."""

    @abstractmethod
    def resident_bytes(self) -> int: ...

    @abstractmethod
    def close(self) -> None: ...


def batches_of(part: Path) -> list[bytes]:
    """The rows of a part, in batches."""
    lines = part.read_bytes().splitlines(keepends=True)
    return [b"".join(lines[at : at + BATCH_EVENTS]) for at in range(0, len(lines), BATCH_EVENTS)]


def timed(work: Callable[[], Any]) -> float:
    """The seconds that something took."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def timed_over_connections(rounds: Iterator[list[Any]], send: Callable[[int, Any], Any]) -> float:
    """The seconds of sending batches over ``CONNECTIONS`` threads, each with its number; making them is not counted."""
    seconds = 0.0
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for batches in rounds:
            left = iter(batches)

            def drain(connection: int) -> None:
                # Taking the next of a list's iterator is one step of the interpreter.
                for batch in left:  # noqa: B023
                    send(connection, batch)

            seconds += timed(lambda: list(pool.map(drain, range(CONNECTIONS))))
    return seconds


def resident_bytes_of(process: int | str = "self") -> int:
    """The memory of a process that is in RAM; what it shares with others counts in part."""
    for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
