"""SQLite, the library that Python brings, with FTS5.

The same table and the same seven indexes as in PostgreSQL; times are whole microseconds and ids 16
bytes. The words are in a contentless FTS5 table without positions (`detail=none`), which is the
smallest and quickest that finds words, under the same row number. One connection, since SQLite has
one writer: rows go in by `executemany` from tuples made ahead, 500 events a transaction, in WAL mode
with `synchronous=FULL`, so a batch is synced when it is committed; the page cache is 256 MiB. The
inserting loop runs in C, but the interpreter's lock is held for it: nothing else runs then. Questions
are asked in the same process, without a network. Afterwards FTS5's `optimize`, ANALYZE and a
checkpoint that empties the WAL; nothing was deleted, so VACUUM would gain nothing. The bytes are
those of the database with its WAL.
"""

import sqlite3
from datetime import UTC, datetime, timedelta

from dataset import COLUMNS, Dataset
from engines.engine import BATCH_EVENTS, Engine, resident_bytes_of, timed
from queries import LIMIT, Answer, Query, answer_of

TABLE = """
CREATE TABLE events (
    number INTEGER PRIMARY KEY,
    organization TEXT NOT NULL,
    id BLOB NOT NULL,
    time_occurred INTEGER NOT NULL,
    action TEXT NOT NULL,
    actor_type TEXT,
    actor_id TEXT,
    actor_name TEXT,
    target_type TEXT,
    target_id TEXT,
    request_id TEXT,
    method TEXT,
    path TEXT,
    status INTEGER,
    client_ip TEXT,
    country TEXT,
    origin TEXT,
    body TEXT NOT NULL,
    UNIQUE (organization, id)
) STRICT;
CREATE INDEX by_organization ON events (organization, time_occurred);
CREATE INDEX by_action ON events (organization, action, time_occurred);
CREATE INDEX by_actor ON events (organization, actor_id, time_occurred);
CREATE INDEX by_target ON events (organization, target_id, time_occurred);
CREATE INDEX by_time ON events (time_occurred);
CREATE INDEX by_request ON events (request_id);
CREATE VIRTUAL TABLE texts
    USING fts5(words, content = '', detail = none, columnsize = 0, tokenize = "unicode61 remove_diacritics 0");
"""
STORED = [column for column in COLUMNS if column != "words"]
INSERT = f"INSERT INTO events (number, {', '.join(STORED)}) VALUES (?{', ?' * len(STORED)})"
INSERT_WORDS = "INSERT INTO texts (rowid, words) VALUES (?, ?)"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
ESCAPED = {"\\t": "\t", "\\n": "\n", "\\r": "\r"}


class Sqlite(Engine):
    title = "SQLite"
    durability = "WAL, synchronous=FULL: synced at each commit"
    loading = f"INSERT of {BATCH_EVENTS} rows a transaction, 1 connection, in process"
    settling = "FTS5 optimize, ANALYZE, checkpoint; the database with its WAL"

    def open(self) -> None:
        path = self.folder / "events.sqlite"
        is_new = not path.exists()
        self.connection = sqlite3.connect(path, isolation_level=None)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = FULL")
        self.connection.execute("PRAGMA cache_size = -262144")
        if is_new:
            self.connection.executescript(TABLE)

    def version(self) -> str:
        return sqlite3.sqlite_version

    def load(self, data: Dataset, seed: int) -> float:
        seconds, number = 0.0, 1
        for part in data.parts:
            with part.open(encoding="utf-8", newline="\n") as lines:
                rows, words = zip(*(read_row(at, line) for at, line in enumerate(lines, number)), strict=True)
            number += len(rows)
            batches = [slice(at, at + BATCH_EVENTS) for at in range(0, len(rows), BATCH_EVENTS)]
            prepared = [(rows[batch], words[batch]) for batch in batches]
            seconds += timed(lambda prepared=prepared: [self.insert(*batch) for batch in prepared])
        return seconds

    def insert(self, rows: list[tuple], words: list[tuple]) -> None:
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.executemany(INSERT, rows)
        self.connection.executemany(INSERT_WORDS, words)
        self.connection.execute("COMMIT")

    def settle(self) -> None:
        self.connection.execute("INSERT INTO texts (texts) VALUES ('optimize')")
        self.connection.execute("ANALYZE")
        self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def disk_bytes(self) -> int:
        return sum(file.stat().st_size for file in self.folder.iterdir())

    def ask(self, query: Query) -> tuple[int | None, list]:
        where, values = condition_of(query)
        total = None
        if query.with_total:
            table = "texts" if query.words else "events"
            total = self.connection.execute(f"SELECT count(*) FROM {table} WHERE {where}", values).fetchone()[0]
        table = "texts JOIN events ON number = texts.rowid" if query.words else "events"
        page = f"SELECT body FROM {table} WHERE {where} ORDER BY time_occurred DESC LIMIT {LIMIT} OFFSET ?"
        return total, self.connection.execute(page, [*values, query.offset]).fetchall()

    def answer(self, asked: tuple[int | None, list]) -> Answer:
        total, rows = asked
        return answer_of(total, [body for (body,) in rows])

    def resident_bytes(self) -> int:
        return resident_bytes_of()

    def close(self) -> None:
        self.connection.close()


def read_row(number: int, line: str) -> tuple[tuple, tuple]:
    """A row's values for the table, and for the words."""
    values = dict(zip(COLUMNS, line.removesuffix("\n").split("\t"), strict=True))
    words = values.pop("words")
    read = {column: None if value == "\\N" else unescape(value) for column, value in values.items()}
    read["id"] = bytes.fromhex(values["id"].replace("-", ""))
    read["time_occurred"] = microseconds(datetime.fromisoformat(values["time_occurred"] + "+00:00"))
    return (number, *read.values()), (number, words)


def unescape(value: str) -> str:
    if "\\" not in value:
        return value
    # Whatever follows a backslash belongs to it, so a doubled one is passed over as a pair.
    parts = value.split("\\\\")
    for escaped, plain in ESCAPED.items():
        parts = [part.replace(escaped, plain) for part in parts]
    return "\\".join(parts)


def microseconds(time: datetime) -> int:
    return (time - EPOCH) // timedelta(microseconds=1)


def condition_of(query: Query) -> tuple[str, list]:
    """The query as a condition, and its values."""
    terms, values = [], []
    if query.organization:
        terms.append("organization = ?")
        values.append(query.organization)
    for column, value in query.equal.items():
        terms.append(f"{column} = ?")
        values.append(value)
    if query.time_from and query.time_until:
        terms.append("time_occurred >= ? AND time_occurred < ?")
        values += [microseconds(query.time_from), microseconds(query.time_until)]
    if query.words:
        terms.append("texts MATCH ?")
        values.append(" AND ".join(f'"{word}"' for word in query.words))
    return " AND ".join(terms) or "true", values
