"""Starts the command line; before anything else, one SQLite library and no pandas."""

from __future__ import annotations

import sys


def one_sqlite() -> None:
    """Make ``import sqlite3`` mean pysqlite3 and pandas absent, for every library loaded later.

    Two SQLite libraries on one file lose committed rows; pandas costs the bot 60 MB for nothing.
    """
    import pysqlite3  # noqa: TID251 - the alias itself

    sys.modules["sqlite3"] = pysqlite3
    sys.modules["sqlite3.dbapi2"] = pysqlite3.dbapi2
    sys.modules["pandas"] = None  # type: ignore[assignment]


if __name__ == "__main__":
    one_sqlite()
    from bot.cli.app import main

    main()
