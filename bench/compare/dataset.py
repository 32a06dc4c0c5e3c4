"""The events as Annals takes them, and the same events as rows for the other engines.

A row has the columns of ``COLUMNS``, as PostgreSQL's COPY and ClickHouse's TabSeparated both read
them: tabs between, ``\\N`` for what is absent, ``\\`` before what has to be escaped. All is made
ahead of being measured. Of the text, every engine gets the words that Annals' search knows (see
``words_of``), cut and in lower case already, so that all of them find the same.
"""

import concurrent.futures
import json
import random
import re
import subprocess
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

COLUMNS = (
    "organization", "id", "time_occurred", "action", "actor_type", "actor_id", "actor_name", "target_type",
    "target_id", "request_id", "method", "path", "status", "client_ip", "country", "origin", "words", "body",
)  # fmt: skip

PART_EVENTS = 100_000
"""Events of one file of rows: what an engine's loader holds in memory at a time."""

SAMPLE_EVENTS = 400
"""Events that queries are made from."""

WORD_BYTES = range(2, 65)
WORDS_MAX = 256

WORD = re.compile(r"[^\W_]+")
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass
class Dataset:
    """Events in files."""

    name: str
    events: Path
    parts: list[Path]
    """Files of rows, in the order of the events."""
    sample: list[dict]
    """Events drawn at random."""
    counts: Counter[str]
    """How many events each organization has."""

    @property
    def count(self) -> int:
        return self.counts.total()


def make(annals: Path, count: int, seed: int, repeat: Path | None, folder: Path) -> Dataset:
    """Writes events and rows into a folder."""
    events = folder / "events.ndjson"
    command = [annals, "bench", "events", "--events", str(count), "--seed", str(seed)]
    if repeat:
        command += ["--repeat", repeat]
    with events.open("wb") as out:
        subprocess.run(command, stdout=out, check=True)

    drawn = set(random.Random(seed).sample(range(count), min(count, SAMPLE_EVENTS)))
    counts, sample, begins = Counter(), [], []
    with events.open("rb") as lines:
        at = 0
        for number, line in enumerate(lines):
            if number % PART_EVENTS == 0:
                begins.append(at)
            if number in drawn:
                sample.append(json.loads(line))
            # The organization is the first member.
            counts[line.split(b'"', 4)[3].decode()] += 1
            at += len(line)

    parts = [folder / f"rows-{number:05}.tsv" for number in range(len(begins))]
    with concurrent.futures.ProcessPoolExecutor() as pool:
        list(pool.map(write_part, [events] * len(parts), begins, parts))
    name = f"CloudTrail records of {repeat}, repeated" if repeat else "generated"
    return Dataset(name, events, parts, sample, counts)


def write_part(events: Path, begin: int, part: Path) -> None:
    """Writes the rows of the events from one place on."""
    with events.open("rb") as lines, part.open("w", encoding="utf-8", newline="") as out:
        lines.seek(begin)
        for _, line in zip(range(PART_EVENTS), lines, strict=False):
            out.write(row(line.decode().rstrip("\n")))


def row(line: str) -> str:
    """The row of one event."""
    event = json.loads(line)
    actor, request = event.get("actor", {}), event.get("request", {})
    target = (event.get("targets") or [{}])[0]
    values = (
        event["organization"],
        event["id"],
        event["time_occurred"].replace("T", " ").removesuffix("Z"),
        event["action"],
        actor.get("type"),
        actor.get("id"),
        actor.get("name"),
        target.get("type"),
        target.get("id"),
        request.get("id"),
        request.get("method"),
        request.get("path"),
        request.get("status"),
        request.get("client_ip"),
        request.get("country"),
        event.get("origin"),
        " ".join(words_of(event)),
        line,
    )
    return "\t".join("\\N" if value is None else str(value).translate(ESCAPES) for value in values) + "\n"


def words_of(event: dict) -> list[str]:
    """The different words of names, description, action, path and the texts in ``data``."""
    texts = [event.get("actor", {}).get("name"), *(target.get("name") for target in event.get("targets", []))]
    texts += [event.get("description"), event["action"], event.get("request", {}).get("path")]
    collect_texts(event.get("data"), texts)
    words = {}
    for text in filter(None, texts):
        for word in WORD.findall(text):
            lower = word.lower()
            if len(lower.encode()) in WORD_BYTES and lower not in words:
                words[lower] = None
                if len(words) == WORDS_MAX:
                    return list(words)
    return list(words)


def collect_texts(value: object, texts: list) -> None:
    """Adds all texts in a JSON value; a member's name is none."""
    if isinstance(value, str):
        texts.append(value)
    elif isinstance(value, list):
        for item in value:
            collect_texts(item, texts)
    elif isinstance(value, dict):
        for item in value.values():
            collect_texts(item, texts)
