"""The questions that every engine is asked, chosen with a seed.

All pages are by ``time_occurred``, the newest first: it is the one order that does not depend on
which of four connections came first, so that every engine must show the same events. Events are
drawn at random, so large organizations come more often.
"""

import json
import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dataset import Dataset, words_of

LIMIT = 100
"""Events of a page."""

QUERIES = 100
"""Different questions of one kind."""

OFFSET_MAX = 1_000_000
SPAN = timedelta(days=5)


@dataclass(frozen=True)
class Query:
    """Events that match all of this, the newest ``LIMIT`` behind ``offset``."""

    organization: str | None = None
    equal: dict[str, str] = field(default_factory=dict)
    """Values of columns of the same names as Annals' parameters: action, actor_id, request_id."""
    time_from: datetime | None = None
    time_until: datetime | None = None
    words: tuple[str, ...] = ()
    offset: int = 0
    with_total: bool = True


@dataclass(frozen=True)
class Answer:
    """What an engine answered."""

    total: int | None
    page: list[tuple[str, str]]
    """Time and id of each event."""

    def agrees(self, other: "Answer") -> bool:
        """Whether both can be right: events of the same time may come in any order."""
        if self.total != other.total or [time for time, _ in self.page] != [time for time, _ in other.page]:
            return False
        # Of several events with the time of the page's edge, any may be on the page.
        edges = {self.page[0][0], self.page[-1][0]} if self.page else set()
        inner = [{event for event in page if event[0] not in edges} for page in (self.page, other.page)]
        return inner[0] == inner[1]


def answer_of(total: int | None, bodies: list[str | bytes]) -> Answer:
    """The answer that consists of events' JSON."""
    return Answer(total, [(event["time_occurred"], event["id"]) for event in map(json.loads, bodies)])


def offset_of(data: Dataset) -> int:
    """The offset of deep pages: a tenth of the events, since the largest organization has a sixth."""
    return min(OFFSET_MAX, data.count // 10)


def make(data: Dataset, seed: int) -> dict[str, list[Query]]:
    """The questions, by what they ask for."""
    rng = random.Random(seed)
    offset = offset_of(data)
    largest, size = data.counts.most_common(1)[0]
    room = max(1, min(size - LIMIT - offset, offset // 5))
    return {
        f"newest {LIMIT} of an organization, with total": [newest(draw(data, rng)) for _ in range(QUERIES)],
        "two filters and a time range, with total": [filtered(draw(data, rng, "actor")) for _ in range(QUERIES)],
        "two words of text in everything, with total": [searched(data, rng) for _ in range(QUERIES)],
        f"page at offset {offset:,} of the largest organization": [
            Query(largest, offset=offset + rng.randrange(room), with_total=False) for _ in range(QUERIES)
        ],
        "one request id in everything": [requested(draw(data, rng, "request")) for _ in range(QUERIES)],
    }


def draw(data: Dataset, rng: random.Random, member: str | None = None) -> dict:
    """An event; with a member that has an id, where one is named."""
    return rng.choice([event for event in data.sample if not member or event.get(member, {}).get("id")])


def newest(event: dict) -> Query:
    return Query(event["organization"])


def filtered(event: dict) -> Query:
    time = datetime.fromisoformat(event["time_occurred"])
    equal = {"action": event["action"], "actor_id": event["actor"]["id"]}
    return Query(event["organization"], equal, time - SPAN, time + SPAN)


def searched(data: Dataset, rng: random.Random) -> Query:
    """Two words of one event's description, or else of all its text."""
    while True:
        event = draw(data, rng)
        described = words_of({"action": "", "description": event.get("description")})
        words = described if len(described) > 1 else words_of(event)
        if len(words) > 1:
            return Query(words=tuple(rng.sample(words, 2)))


def requested(event: dict) -> Query:
    return Query(equal={"request_id": event["request"]["id"]}, with_total=False)
