"""Questions to the database files of a server, which may write to them at this moment."""

import contextlib
import sqlite3
import time

LOOKS = 10


def is_one(path):
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"


def asked(path, question):
    """What `question` makes of a connection to the file as it lies there, without its log: asked again
    when it was half written."""
    for last in (False,) * (LOOKS - 1) + (True,):
        try:
            with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
                return question(database)
        except sqlite3.DatabaseError:
            if last:
                raise
            time.sleep(1)


def free_bytes(database):
    """Of pages that hold nothing and wait for what comes next."""
    free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return free * size
