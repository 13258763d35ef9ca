"""Rows of a data folder's databases: `dump FOLDER TENANT` prints those of a tenant,
`plant FOLDER` puts rows from standard input, `waiting FOLDER` counts what waits."""
import json
import pathlib
import sqlite3
import sys

command, folder, *rest = sys.argv[1:]
folder = pathlib.Path(folder)


def databases():
    for path in sorted(folder.rglob("*.sqlite")):
        yield path.name, sqlite3.connect(f"file:{path}?mode=rw", uri=True)


def tables(db, column):
    # An older SQLite than the one that wrote it can't read every virtual table.
    found = db.execute(
        "SELECT m.name FROM sqlite_schema m JOIN pragma_table_info(m.name) c"
        " WHERE m.type = 'table' AND m.sql NOT LIKE 'CREATE VIRTUAL%' AND c.name = ? ORDER BY 1", (column,))
    return [name for (name,) in found]


def dump(tenant):
    rows = []
    for name, db in databases():
        there = db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'tenant'").fetchone()
        number = there and db.execute("SELECT id FROM tenant WHERE name = ?", (tenant,)).fetchone()
        for table in tables(db, "tenant"):
            # Every look is an entry, and names are reserved anew at each start.
            if name == "audit.sqlite" or table.startswith("audit_"):
                continue
            whose = [tenant, *(number or [])]
            marks = ", ".join("?" * len(whose))
            query = f"SELECT * FROM \"{table}\" WHERE tenant IN ({marks})"
            if table == "object":
                query += " AND state = 1"
            found = db.execute(query, whose)
            columns = [column[0] for column in found.description]
            moving = {"seen_at", "seen_from", "used_at"}
            for row in found:
                kept = {c: repr(v) for c, v in zip(columns, row) if c not in moving}
                rows.append([name, table, kept])
    print(json.dumps(sorted(rows, key=json.dumps), indent=0))


def plant():
    for one in json.load(sys.stdin):
        db = sqlite3.connect(folder / one["database"])
        columns = ", ".join(one["row"])
        marks = ", ".join("?" * len(one["row"]))
        db.execute(f"INSERT INTO {one['table']} ({columns}) VALUES ({marks})", list(one["row"].values()))
        db.commit()
        db.close()


def waiting():
    count = 0
    for name, db in databases():
        names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if "outbox" in names:
            count += db.execute("SELECT count(*) FROM outbox").fetchone()[0]
        if "inbox" in names:
            count += db.execute("SELECT count(*) FROM inbox WHERE state = 'pending'").fetchone()[0]
        if "jobs" in names:
            count += db.execute("SELECT count(*) FROM jobs WHERE state = 'leased' OR"
                                " state = 'queued' AND attempts = 0").fetchone()[0]
    print(count)


{"dump": dump, "plant": plant, "waiting": waiting}[command](*rest)
