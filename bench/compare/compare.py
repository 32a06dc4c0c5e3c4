"""Compares Annals with what people would put in its place: the same events and the same questions.

Every engine must give the same totals and the same events on each page, or the comparison fails.
"""

import argparse
import json
import os
import platform
import shutil
import signal
import sys
import tempfile
from pathlib import Path

import dataset
import engines
import environment
import phases
import queries
import report
from environment import note


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench/compare/run",
        description=__doc__.splitlines()[0],
        epilog="Example: bench/compare/run --events 1000000 --json figures.json. Files are made in a temporary "
        "folder, where TMPDIR says, and removed; a million events need about 4 GB. PostgreSQL and ClickHouse "
        "need packages, which are installed on first use: Debian's postgresql, and those of requirements.txt "
        "into target/compare/venv.",
    )
    parser.add_argument("--events", type=int, default=1_000_000, help="how many [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=1, help="of events and questions [default: %(default)s]")
    parser.add_argument("--engines", default=",".join(engines.MODULES), help="[default: %(default)s]")
    parser.add_argument("--cloudtrail", type=Path, metavar="FILE", help="repeat these records as the events")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    parser.add_argument("--annals", type=Path, metavar="FILE", help="the binary [default: this tree, built]")
    given = parser.parse_args()
    given.engines = given.engines.split(",")
    if unknown := set(given.engines) - set(engines.MODULES):
        parser.error(f"unknown engine {', '.join(sorted(unknown))}: there are {', '.join(engines.MODULES)}")
    if given.events < dataset.SAMPLE_EVENTS:
        parser.error(f"--events must be at least {dataset.SAMPLE_EVENTS}: questions are made from so many")
    return given


def main() -> None:
    given = arguments()
    if engines.NEED_PACKAGES & set(given.engines):
        environment.enter_venv()
    # Temporary folders and servers go, whoever ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    annals = environment.annals_binary(given.annals)
    folder = Path(tempfile.mkdtemp(prefix="annals-compare-"))
    try:
        # PostgreSQL's user has to pass through.
        folder.chmod(0o755)
        figures = compare(given, annals, folder)
    finally:
        shutil.rmtree(folder)
    print(report.markdown(figures))
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def compare(given: argparse.Namespace, annals: Path, folder: Path) -> dict:
    note("making the events …")
    data = dataset.make(annals, given.events, given.seed, given.cloudtrail, folder)
    questions = queries.make(data, given.seed)
    measured, answers = [], []
    for name in given.engines:
        own = folder / name
        own.mkdir()
        figures, answered = phases.measure(phases.Run(name, annals, own, data, given.seed, questions))
        shutil.rmtree(own)
        for title, others in answers:
            check(questions, (title, others), (figures["title"], answered))
        measured.append(figures)
        answers.append((figures["title"], answered))
    return {
        "events": data.count,
        "data": data.name,
        "event_bytes": data.events.stat().st_size / data.count,
        "seed": given.seed,
        "offset": queries.offset_of(data),
        "machine": machine(),
        "engines": measured,
    }


def check(questions: dict[str, list[queries.Query]], one: tuple, other: tuple) -> None:
    """Fails if two engines answered differently, or found nothing: each question was made from an event."""
    for what, asked in questions.items():
        for query, answer, second in zip(asked, one[1][what], other[1][what], strict=False):
            if not answer.page or not answer.agrees(second):
                raise SystemExit(f"{what}: {query}\n{one[0]}: {answer}\n{other[0]}: {second}")


def machine() -> str:
    names = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    processor = names[0].partition(":")[2].strip() if names else platform.machine()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    return f"{processor}, {os.cpu_count()} cores, {memory:.0f} GiB"


if __name__ == "__main__":
    main()
