"""What one engine goes through, each phase in a process of its own.

**Load**: bulk where the engine has it, then batches, then settled; the bytes on disk. **Read**: opened
again, so that memory is that of a server that was started and asked, not of one that was just loaded.
"""

import multiprocessing
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import engines
from dataset import PART_EVENTS, Dataset
from engines.engine import timed
from environment import note
from queries import Answer, Query

BULK_PARTS_MAX = 1_000_000 // PART_EVENTS
WARM_S_MAX = 30
WARM_QUERIES_MIN = 5
MEASURE_S_MAX = 10
MEASURE_REQUESTS_MAX = 1_000


@dataclass
class Run:
    """One engine's part of the comparison."""

    name: str
    annals: Path
    folder: Path
    """The engine's own."""
    data: Dataset
    seed: int
    questions: dict[str, list[Query]]

    def engine(self) -> engines.Engine:
        return engines.of_name(self.name)(self.folder, self.annals)


def measure(given: Run) -> tuple[dict, dict[str, list[Answer]]]:
    """The figures of one engine, and what it answered."""
    figures = in_process(load, given)
    read_figures, answers = in_process(read, given)
    return figures | read_figures, answers


def load(given: Run) -> dict:
    engine, data = given.engine(), given.data
    figures: dict[str, Any] = {"engine": given.name, "title": engine.title, "durability": engine.durability}
    figures |= {"loading": engine.loading, "settling": engine.settling, "bulk_loading": engine.bulk_loading}
    engine.open()
    try:
        figures["version"] = engine.version()
        if engine.bulk_loading:
            note(f"{engine.title}: loading in bulk …")
            parts = data.parts[:BULK_PARTS_MAX]
            events = min(data.count, len(parts) * PART_EVENTS)
            figures["bulk_events_per_s"] = events / engine.load_bulk(parts)
        note(f"{engine.title}: loading in batches …")
        figures["events_per_s"] = data.count / engine.load(data, given.seed)
        note(f"{engine.title}: settling …")
        figures["settle_s"] = timed(engine.settle)
        figures["disk_bytes_per_event"] = engine.disk_bytes() / data.count
    finally:
        engine.close()
    return figures


def read(given: Run) -> tuple[dict, dict[str, list[Answer]]]:
    engine = given.engine()
    figures: dict[str, Any] = {"open_s": timed(engine.open), "latency_ms": {}}
    try:
        stored = engine.answer(engine.ask(Query())).total
        if stored != given.data.count:
            raise RuntimeError(f"{given.data.count} events were stored, and {stored} are there")
        answers = {}
        for what, queries in given.questions.items():
            note(f"{engine.title}: {what} …")
            answers[what] = warm(engine, queries)
            figures["latency_ms"][what] = latencies(engine, queries[: len(answers[what])])
        figures["resident_bytes"] = engine.resident_bytes()
    finally:
        engine.close()
    return figures, answers


def warm(engine: engines.Engine, queries: list[Query]) -> list[Answer]:
    """Asks each question once; the slow engines get fewer."""
    answers: list[Answer] = []
    begun = time.monotonic()
    for query in queries:
        answers.append(engine.answer(engine.ask(query)))
        if time.monotonic() - begun > WARM_S_MAX and len(answers) >= WARM_QUERIES_MIN:
            break
    return answers


def latencies(engine: engines.Engine, queries: list[Query]) -> dict[str, float]:
    """Asks the same questions again and again, one at a time."""
    seconds: list[float] = []
    begun = time.monotonic()
    while len(seconds) < MEASURE_REQUESTS_MAX and time.monotonic() - begun < MEASURE_S_MAX:
        query = queries[len(seconds) % len(queries)]
        seconds.append(timed(lambda query=query: engine.ask(query)))
    seconds.sort()
    return {"requests": len(seconds), "p50": at_quantile(seconds, 0.5), "p99": at_quantile(seconds, 0.99)}


def at_quantile(seconds: list[float], quantile: float) -> float:
    """In milliseconds."""
    return seconds[min(len(seconds) - 1, int(len(seconds) * quantile))] * 1_000


def in_process(phase: Callable[[Run], Any], given: Run) -> Any:
    """Runs a phase in a process of its own, which does not outlive this one."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=run_phase, args=(there, phase, given))
    process.start()
    there.close()
    try:
        succeeded, result = here.recv()
    except EOFError:
        process.join()
        raise SystemExit(f"the process for {given.name} ended with {process.exitcode}") from None
    except BaseException:
        # It closes its engine when it is asked to end.
        process.terminate()
        raise
    finally:
        process.join()
    if not succeeded:
        raise SystemExit(f"{given.name}: {result}")
    return result


def run_phase(out: Connection, phase: Callable[[Run], Any], given: Run) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        out.send((True, phase(given)))
    except Exception:
        out.send((False, traceback.format_exc()))
