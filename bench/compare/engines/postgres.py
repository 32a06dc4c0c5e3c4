"""PostgreSQL, Debian's package, in a cluster of its own.

The table has the columns that one would choose to filter by, the whole event as `jsonb`, and the
words as a `tsvector`; seven B-tree indexes (the id, the lists by time of an organization, of an
action, actor or target in it, and of everything, and the request's id) and a GIN index over the
words. Words come as a finished `tsvector`, so that PostgreSQL need not cut text, as Annals has to.
Rows come by COPY through psycopg as bytes made ahead, so that Python has nothing to do but hand
them over; each batch is a transaction, durable when it is answered. Bulk is one COPY in one
transaction with the indexes in place. Set beside the defaults: a quarter of the memory as shared
buffers, 8 GB of WAL between checkpoints, `random_page_cost` for an SSD, no JIT, plans made for each
query's values. A page at an offset is found by its ids in the index first, so that the rows that are passed
over are not read. Questions go over one connection of a Unix socket as prepared statements; the total
is a statement of its own, in the same measured time. Afterwards VACUUM ANALYZE, which also clears
GIN's pending list, and CHECKPOINT; the bytes are those of the table with its indexes, without WAL.
"""

import os
import pwd
import shutil
import subprocess
from pathlib import Path

import psycopg
from psycopg.types.string import TextLoader

from dataset import COLUMNS, Dataset
from engines.engine import (
    BATCH_EVENTS,
    CONNECTIONS,
    Engine,
    batches_of,
    resident_bytes_of,
    timed,
    timed_over_connections,
)
from environment import note
from queries import LIMIT, Answer, Query, answer_of

TABLE = """
CREATE TABLE events (
    organization text NOT NULL,
    id uuid NOT NULL,
    time_occurred timestamptz NOT NULL,
    action text NOT NULL,
    actor_type text,
    actor_id text,
    actor_name text,
    target_type text,
    target_id text,
    request_id text,
    method text,
    path text,
    status smallint,
    client_ip inet,
    country text,
    origin text,
    words tsvector NOT NULL,
    body jsonb NOT NULL,
    PRIMARY KEY (organization, id)
);
CREATE INDEX ON events (organization, time_occurred) INCLUDE (id);
CREATE INDEX ON events (organization, action, time_occurred);
CREATE INDEX ON events (organization, actor_id, time_occurred);
CREATE INDEX ON events (organization, target_id, time_occurred);
CREATE INDEX ON events (time_occurred);
CREATE INDEX ON events (request_id);
CREATE INDEX ON events USING gin (words);
"""
MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
SETTINGS = {
    "listen_addresses": "",
    "timezone": "UTC",
    "fsync": "on",
    "synchronous_commit": "on",
    "shared_buffers": f"{MEMORY_BYTES // 4 // 1024**2}MB",
    "effective_cache_size": f"{MEMORY_BYTES // 2 // 1024**2}MB",
    "maintenance_work_mem": "512MB",
    "max_wal_size": "8GB",
    "random_page_cost": "1.1",
    "jit": "off",
    "plan_cache_mode": "force_custom_plan",
}
USER = "postgres"


class Postgres(Engine):
    title = "PostgreSQL"
    durability = "fsync=on, synchronous_commit=on: WAL synced at each commit"
    loading = f"COPY of {BATCH_EVENTS} rows a transaction, {CONNECTIONS} connections"
    settling = "VACUUM ANALYZE, CHECKPOINT; the table and its indexes, without WAL"
    bulk_loading = "one COPY in one transaction, the indexes in place"

    def open(self) -> None:
        self.cluster = self.folder / "cluster"
        self.user = USER if os.getuid() == 0 else None
        binaries = find_binaries()
        if not self.cluster.exists():
            self.cluster.mkdir(mode=0o700)
            if self.user:
                # initdb refuses to run as root.
                shutil.chown(self.folder, self.user, self.user)
                shutil.chown(self.cluster, self.user, self.user)
            initdb = [binaries / "initdb", "--pgdata", self.cluster, "--auth", "trust", "--username", USER]
            self.run([*initdb, "--encoding", "UTF8", "--locale", "C.UTF-8"])
            with (self.cluster / "postgresql.conf").open("a") as config:
                config.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
                config.write(f"unix_socket_directories = '{self.folder}'\n")
        self.pg_ctl = [binaries / "pg_ctl", "--pgdata", self.cluster, "--timeout", "600", "--wait"]
        self.run([*self.pg_ctl, "--log", self.folder / "server.log", "start"])
        self.connections = [self.connect() for _ in range(CONNECTIONS)]
        self.connection = self.connections[0]
        if not self.connection.execute("SELECT to_regclass('events')").fetchone()[0]:
            self.connection.execute(TABLE)

    def run(self, command: list) -> None:
        ids = {}
        if self.user:
            ids = {"user": self.user, "group": pwd.getpwnam(self.user).pw_gid, "extra_groups": []}
        log = self.folder / "commands.log"
        with log.open("ab") as out:
            done = subprocess.run(command, cwd="/", stdout=out, stderr=out, check=False, **ids)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{log.read_text()}")

    def connect(self) -> psycopg.Connection:
        connection = psycopg.connect(host=str(self.folder), user=USER, dbname="postgres", autocommit=True)
        # Read by whoever compares answers, outside the time that is measured.
        connection.adapters.register_loader("jsonb", TextLoader)
        connection.prepare_threshold = 1
        return connection

    def version(self) -> str:
        return self.connection.execute("SHOW server_version").fetchone()[0]

    def load_bulk(self, parts: list[Path]) -> float:
        def copy() -> None:
            with self.connection.cursor().copy(f"COPY bulk ({', '.join(COLUMNS)}) FROM STDIN") as copy:
                for part in parts:
                    copy.write(part.read_bytes())

        self.connection.execute("CREATE TABLE bulk (LIKE events INCLUDING ALL)")
        seconds = timed(copy)
        self.connection.execute("DROP TABLE bulk")
        self.connection.execute("CHECKPOINT")
        return seconds

    def load(self, data: Dataset, seed: int) -> float:
        def send(connection: int, batch: bytes) -> None:
            with self.connections[connection].cursor().copy(statement) as copy:
                copy.write(batch)

        statement = f"COPY events ({', '.join(COLUMNS)}) FROM STDIN"
        return timed_over_connections(map(batches_of, data.parts), send)

    def settle(self) -> None:
        self.connection.execute("VACUUM (ANALYZE) events")
        self.connection.execute("CHECKPOINT")

    def disk_bytes(self) -> int:
        return self.connection.execute("SELECT pg_total_relation_size('events')").fetchone()[0]

    def ask(self, query: Query) -> tuple[int | None, list]:
        where, values = condition_of(query)
        total = None
        if query.with_total:
            total = self.connection.execute(f"SELECT count(*) FROM events WHERE {where}", values).fetchone()[0]
        page = f"SELECT {{}} FROM events WHERE {where} ORDER BY time_occurred DESC LIMIT {LIMIT}"
        if query.offset:
            ids = page.format("organization, id") + f" OFFSET {query.offset}"
            page = f"SELECT body FROM events JOIN ({ids}) AS page USING (organization, id) ORDER BY time_occurred DESC"
        return total, self.connection.execute(page.format("body"), values).fetchall()

    def answer(self, asked: tuple[int | None, list]) -> Answer:
        total, rows = asked
        return answer_of(total, [body for (body,) in rows])

    def resident_bytes(self) -> int:
        postmaster = (self.cluster / "postmaster.pid").read_text().split()[0]
        children = Path(f"/proc/{postmaster}/task/{postmaster}/children").read_text().split()
        return sum(resident_bytes_of(process) for process in [postmaster, *children])

    def close(self) -> None:
        for connection in self.connections:
            connection.close()
        self.run([*self.pg_ctl, "--mode", "fast", "stop"])


def condition_of(query: Query) -> tuple[str, list]:
    """The query as a condition, and its values."""
    terms, values = [], []
    if query.organization:
        terms.append("organization = %s")
        values.append(query.organization)
    for column, value in query.equal.items():
        terms.append(f"{column} = %s")
        values.append(value)
    if query.time_from and query.time_until:
        terms.append("time_occurred >= %s AND time_occurred < %s")
        values += [query.time_from, query.time_until]
    if query.words:
        terms.append("words @@ %s::tsquery")
        values.append(" & ".join(f"'{word}'" for word in query.words))
    return " AND ".join(terms) or "true", values


def find_binaries() -> Path:
    """The folder of the newest PostgreSQL; Debian's package is installed where there is none."""
    for attempt in range(2):
        found = [initdb.parent for initdb in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
        if found:
            return max(found, key=lambda folder: int(folder.parent.name))
        if attempt == 0:
            note("installing Debian's package postgresql …")
            sudo = [] if os.getuid() == 0 else ["sudo"]
            subprocess.run([*sudo, "apt-get", "update", "-q"], stdout=2, check=True)
            install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", "postgresql"]
            subprocess.run([*sudo, *install], stdout=2, check=True)
    raise RuntimeError("PostgreSQL is not under /usr/lib/postgresql, although its package was installed")
