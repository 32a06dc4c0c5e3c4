"""The engines, by the names that ``--engines`` takes. The first is what the others are compared with."""

import importlib

from engines.engine import Engine

MODULES = {
    "annals": ("annals", "Annals"),
    "postgres": ("postgres", "Postgres"),
    "sqlite": ("sqlite", "Sqlite"),
    "clickhouse": ("clickhouse", "ClickHouse"),
    "clickhouse-equal": ("clickhouse", "ClickHouseEqual"),
}

NEED_PACKAGES = {"postgres", "clickhouse", "clickhouse-equal"}
"""Engines whose client is no part of Python."""


def of_name(name: str) -> type[Engine]:
    """The class of an engine; its packages are loaded only now."""
    module, name = MODULES[name]
    return getattr(importlib.import_module(f"engines.{module}"), name)
