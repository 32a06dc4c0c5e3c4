"""Annals, the release binary, asked over HTTP.

Batches are sent by `annals bench send`, which reads the file ahead and measures in the binary, so
that Python is not what is measured; it sends 500 events in a request over 4 connections. Questions
go over one kept connection of Python's `http.client`, with the parameters that any client would
send. Nothing is set: it is `annals serve` with a data folder. After loading we wait until the server
has nothing more to do in the background; the bytes are those of all files of its data folder, the
journal's among them.
"""

import http.client
import json
import os
import secrets
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from dataset import Dataset
from engines.engine import BATCH_EVENTS, CONNECTIONS, Engine, resident_bytes_of
from queries import LIMIT, Answer, Query, answer_of

START_S_MAX = 600
REST_S = 0.5
REST_S_MAX = 300


@dataclass
class Server:
    """A running server."""

    process: subprocess.Popen
    port: int
    key: str


class Annals(Engine):
    title = "Annals"
    durability = "synced at each commit (journal: WAL, synchronous=FULL)"
    loading = f"HTTP, {BATCH_EVENTS} events a request, {CONNECTIONS} connections (`annals bench send`)"
    settling = "waited until the server rests; all files of the data folder"

    def open(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        key = secrets.token_hex(32)
        command = [self.annals, "serve", "--name", "compare.example", "--data", self.folder / "data"]
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                [*command, "--listen", f"127.0.0.1:{port}"],
                env={**os.environ, "ANNALS_ADMIN_KEY": key, "ANNALS_LOG_LEVEL": "warn"},
                stdout=log,
                stderr=log,
            )
        self.server = Server(process, port, key)
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=START_S_MAX)
        self.headers = {"Authorization": f"Bearer {key}"}
        try:
            self.wait_until_ready()
        except BaseException:
            self.close()
            raise

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_S_MAX
        while not self.is_ready():
            if self.server.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not start:\n{(self.folder / 'server.log').read_text()}")
            time.sleep(0.01)

    def is_ready(self) -> bool:
        try:
            self.connection.request("GET", "/readyz")
            answer = self.connection.getresponse()
            answer.read()
        except OSError:
            self.connection.close()
            return False
        return answer.status == 200

    def version(self) -> str:
        output = subprocess.run([self.annals, "--version"], capture_output=True, text=True, check=True)
        return output.stdout.split()[-1]

    def load(self, data: Dataset, seed: int) -> float:
        command = [self.annals, "bench", "send", data.events, "--json", "--seed", str(seed)]
        command += ["--batch", str(BATCH_EVENTS), "--connections", str(CONNECTIONS)]
        command += ["--against", f"http://127.0.0.1:{self.server.port}", "--key", self.server.key]
        output = subprocess.run(command, capture_output=True, text=True, check=False)
        if output.returncode:
            raise RuntimeError(output.stderr)
        return json.loads(output.stdout)["parts"][0]["seconds"]

    def settle(self) -> None:
        deadline = time.monotonic() + REST_S_MAX
        before = self.processor_s()
        while time.monotonic() < deadline:
            time.sleep(REST_S)
            now = self.processor_s()
            if now - before <= REST_S / 25:
                return
            before = now

    def processor_s(self) -> float:
        stat = Path(f"/proc/{self.server.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def disk_bytes(self) -> int:
        return sum(file.stat().st_size for file in (self.folder / "data").rglob("*") if file.is_file())

    def ask(self, query: Query) -> bytes:
        self.connection.request("GET", f"/v1/events?{urlencode(parameters_of(query))}", headers=self.headers)
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{answer.status}: {body.decode()}")
        return body

    def answer(self, asked: bytes) -> Answer:
        page = json.loads(asked)
        return answer_of(page.get("total"), [json.dumps(event) for event in page["events"]])

    def resident_bytes(self) -> int:
        return resident_bytes_of(self.server.process.pid)

    def close(self) -> None:
        self.connection.close()
        self.server.process.terminate()
        self.server.process.wait()


def parameters_of(query: Query) -> dict[str, str | int]:
    """The query as Annals' parameters."""
    parameters: dict[str, str | int] = {"order": "occurred", "limit": LIMIT, **query.equal}
    if query.organization:
        parameters["organization"] = query.organization
    if query.time_from and query.time_until:
        parameters["time_from"] = query.time_from.isoformat()
        parameters["time_until"] = query.time_until.isoformat()
    if query.words:
        parameters["q"] = " ".join(query.words)
    if query.offset:
        parameters["offset"] = query.offset
    if not query.with_total:
        parameters["total"] = "none"
    return parameters
