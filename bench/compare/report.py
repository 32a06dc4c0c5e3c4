"""The figures as a table in Markdown, each with its ratio to the first engine's."""

MEBIBYTE = 1024 * 1024


def markdown(report: dict) -> str:
    """The table, and what belongs to it."""
    engines = report["engines"]
    first = engines[0]["title"]
    lines = [
        f"{report['events']:,} events ({report['data']}), seed {report['seed']}; {report['event_bytes']:.0f} bytes of "
        f"JSON each; {report['machine']}.",
        f"Behind each figure, how many times better {first} is (below 1: worse).",
        "",
        "| | " + " | ".join(engine["title"] for engine in engines) + " |",
        "| --- " + "| --: " * len(engines) + "|",
    ]
    lines += [f"| {what} | " + " | ".join(cells) + " |" for what, cells in rows(engines)]
    lines += ["", "| engine | version | durable at an answer | batches | bulk | before questions; bytes counted |"]
    lines += ["| --- | --- | --- | --- | --- | --- |"]
    for engine in engines:
        told = [engine["title"], engine["version"], engine["durability"], engine["loading"]]
        lines.append("| " + " | ".join([*told, engine["bulk_loading"] or "–", engine["settling"]]) + " |")
    return "\n".join(lines)


def rows(engines: list[dict]) -> list[tuple[str, list[str]]]:
    """Each figure's name, and the engines' cells."""
    table = [
        row("durable events/s, batches of 500", [engine["events_per_s"] for engine in engines], more_is_better=True),
        row("events/s, in bulk", [engine.get("bulk_events_per_s") for engine in engines], more_is_better=True),
        row("bytes on disk per event", [engine["disk_bytes_per_event"] for engine in engines]),
    ]
    for what in engines[0]["latency_ms"]:
        for quantile in ("p50", "p99"):
            values = [engine["latency_ms"][what][quantile] for engine in engines]
            table.append(row(f"{what}: {quantile} ms", values, digits=2))
    table.append(row("resident MiB, started and asked", [engine["resident_bytes"] / MEBIBYTE for engine in engines]))
    table.append(row("from start to ready, s", [engine["open_s"] for engine in engines], digits=2))
    return table


def row(
    what: str, values: list[float | None], *, more_is_better: bool = False, digits: int = 0
) -> tuple[str, list[str]]:
    first = values[0]
    cells = []
    for at, value in enumerate(values):
        if value is None:
            cells.append("–")
            continue
        text = f"{value:,.{digits}f}"
        if at > 0 and first and value:
            ratio = first / value if more_is_better else value / first
            text += f" ({ratio:.{1 if ratio >= 0.95 else 2}f}×)"
        cells.append(text)
    return what, cells
