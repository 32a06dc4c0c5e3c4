"""ClickHouse in process, from PyPI's `chdb`: once as it comes, once on Annals' terms.

Both: a MergeTree ordered by organization and time, `LowCardinality` where values are few, the event
and its words as texts with ZSTD. Rows go in as `FORMAT TabSeparated` in the statement, from bytes made
ahead (for 500 rows as quick as JSONEachRow, and quicker than Arrow or a file), over 4 threads of one
session. Bulk is one INSERT from an Arrow table for each 100,000 rows, the quickest for many. There is no
network and no server process in the way. As it comes, nothing is synced, words are found by reading
the column, and an id may come twice. On equal terms, `fsync_after_insert` and `fsync_part_directory`
sync each insert, a text index covers the words and a Bloom filter the request ids, and before each
insert its ids are looked for in a table ordered by id that a materialized view keeps (MergeTree has
no unique keys: this notices a repetition, though two inserts at the same time could still slip
through). Totals are a statement of their own, in the same measured time. Afterwards OPTIMIZE FINAL merges
everything into one part; the bytes are those of the active parts, with those of the ids.
"""

import json
import time
from pathlib import Path

from chdb import session

from dataset import COLUMNS, Dataset
from engines.engine import (
    BATCH_EVENTS,
    CONNECTIONS,
    Engine,
    batches_of,
    resident_bytes_of,
    timed_over_connections,
)
from queries import LIMIT, Answer, Query, answer_of

TABLE = """
CREATE TABLE {name} (
    organization LowCardinality(String),
    id UUID,
    time_occurred DateTime64(6, 'UTC'),
    action LowCardinality(String),
    actor_type LowCardinality(Nullable(String)),
    actor_id LowCardinality(Nullable(String)),
    actor_name LowCardinality(Nullable(String)),
    target_type LowCardinality(Nullable(String)),
    target_id Nullable(String),
    request_id Nullable(String),
    method LowCardinality(Nullable(String)),
    path Nullable(String),
    status Nullable(UInt16),
    client_ip Nullable(String),
    country LowCardinality(Nullable(String)),
    origin LowCardinality(Nullable(String)),
    words String CODEC(ZSTD(1)),
    body String CODEC(ZSTD(1)){indexes}
) ENGINE = MergeTree ORDER BY (organization, time_occurred) SETTINGS {settings}
"""
INDEXES = """,
    INDEX by_word words TYPE text(tokenizer = splitByNonAlpha),
    INDEX by_request request_id TYPE bloom_filter(0.01) GRANULARITY 1"""
IDS = """
CREATE TABLE ids (organization LowCardinality(String), id String)
ENGINE = MergeTree ORDER BY id SETTINGS {settings}
"""
IDS_VIEW = "CREATE MATERIALIZED VIEW ids_of_events TO ids AS SELECT organization, toString(id) AS id FROM events"
ALWAYS = {"organization", "id", "time_occurred", "action", "words", "body"}
ROW = ", ".join(f"{column} {'String' if column in ALWAYS else 'Nullable(String)'}" for column in COLUMNS)
SYNCED = "fsync_after_insert = 1, fsync_part_directory = 1"


class ClickHouse(Engine):
    title = "ClickHouse, as it comes"
    durability = "none: nothing is synced"
    loading = f"INSERT of {BATCH_EVENTS} rows, {CONNECTIONS} threads, in process"
    settling = "OPTIMIZE FINAL; active parts"
    bulk_loading = "INSERT of 100,000 rows from Arrow"
    settings = "index_granularity = 8192"
    indexes = ""

    def open(self) -> None:
        self.session = session.Session(str(self.folder / "data"))
        self.session.query("CREATE DATABASE IF NOT EXISTS compare")
        self.session.query("USE compare")
        if not self.rows("EXISTS events")[0][0]:
            self.make()

    def make(self) -> None:
        self.session.query(TABLE.format(name="events", indexes=self.indexes, settings=self.settings))

    def rows(self, statement: str) -> list[list]:
        return rows_of(self.session.query(statement, "JSONCompactEachRow").bytes())

    def version(self) -> str:
        return self.rows("SELECT version()")[0][0]

    def load_bulk(self, parts: list[Path]) -> float:
        seconds = 0.0
        self.session.query(TABLE.format(name="bulk", indexes=self.indexes, settings=self.settings))
        for part in parts:
            table = self.session.query(f"SELECT * FROM file('{part}', TabSeparated, '{ROW}')", "ArrowTable")  # noqa: F841
            begun = time.perf_counter()
            # The statement takes the local variable of this name.
            self.session.query("INSERT INTO bulk SELECT * FROM Python(table)")
            seconds += time.perf_counter() - begun
        self.session.query("DROP TABLE bulk SYNC")
        return seconds

    def load(self, data: Dataset, seed: int) -> float:
        rounds = ([self.prepare(batch) for batch in batches_of(part)] for part in data.parts)
        return timed_over_connections(rounds, lambda _, statements: self.insert(statements))

    def prepare(self, batch: bytes) -> list[str]:
        return [f"INSERT INTO events FORMAT TabSeparated\n{batch.decode()}"]

    def insert(self, statements: list[str]) -> None:
        for statement in statements:
            self.session.query(statement)

    def settle(self) -> None:
        self.session.query("OPTIMIZE TABLE events FINAL")

    def disk_bytes(self) -> int:
        sizes = "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = 'compare'"
        return int(self.rows(sizes)[0][0])

    def ask(self, query: Query) -> tuple[bytes | None, bytes]:
        where = condition_of(query)
        total = None
        if query.with_total:
            total = self.session.query(f"SELECT count() FROM events WHERE {where}", "JSONCompactEachRow").bytes()
        page = f"SELECT body FROM events WHERE {where} ORDER BY time_occurred DESC LIMIT {LIMIT} OFFSET {query.offset}"
        return total, self.session.query(page, "JSONCompactEachRow").bytes()

    def answer(self, asked: tuple[bytes | None, bytes]) -> Answer:
        total, page = asked
        return answer_of(None if total is None else int(rows_of(total)[0][0]), [body for (body,) in rows_of(page)])

    def resident_bytes(self) -> int:
        return resident_bytes_of()

    def close(self) -> None:
        self.session.close()


class ClickHouseEqual(ClickHouse):
    title = "ClickHouse, on equal terms"
    durability = "fsync_after_insert, fsync_part_directory: synced at each insert"
    loading = f"ids looked up, then INSERT of {BATCH_EVENTS} rows, {CONNECTIONS} threads, in process"
    bulk_loading = "INSERT of 100,000 rows from Arrow, without looking ids up"
    settings = SYNCED
    indexes = INDEXES

    def make(self) -> None:
        super().make()
        self.session.query(IDS.format(settings=SYNCED))
        self.session.query(IDS_VIEW)

    def prepare(self, batch: bytes) -> list[str]:
        rows = [line.split(b"\t", 2)[:2] for line in batch.splitlines()]
        names = ", ".join(f"('{organization.decode()}', '{event.decode()}')" for organization, event in rows)
        ids = ", ".join(f"'{event.decode()}'" for _, event in rows)
        # The single column is what the primary key can use.
        known = f"SELECT count() FROM ids WHERE id IN ({ids}) AND (organization, id) IN ({names})"
        return [known, *super().prepare(batch)]

    def insert(self, statements: list[str]) -> None:
        known, insert = statements
        if self.rows(known) != [[0]]:
            raise RuntimeError("an event was there already")
        self.session.query(insert)

    def settle(self) -> None:
        super().settle()
        self.session.query("OPTIMIZE TABLE ids FINAL")


def rows_of(lines: bytes) -> list[list]:
    return [json.loads(line) for line in lines.splitlines()]


def condition_of(query: Query) -> str:
    """The query as a condition."""
    terms = []
    if query.organization:
        terms.append(f"organization = {quoted(query.organization)}")
    terms += [f"{column} = {quoted(value)}" for column, value in query.equal.items()]
    if query.time_from and query.time_until:
        for operator, at in ((">=", query.time_from), ("<", query.time_until)):
            terms.append(f"time_occurred {operator} toDateTime64('{at:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')")
    if query.words:
        terms.append(f"hasAllTokens(words, [{', '.join(map(quoted, query.words))}])")
    return " AND ".join(terms) or "true"


def quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
