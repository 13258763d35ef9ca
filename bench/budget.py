"""What a settled instance takes on disk beside its data set, by file and by table: settles series as the
benchmark does, once few and once many, asks SQLite's dbstat about each database, and divides what the many
take more. What an empty server takes is in neither."""

import argparse
import collections
import sqlite3
import sys
import tempfile
from pathlib import Path

import bench
import databases
import images
import settled
import work


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--few", type=int, default=1, help="series, each of a study of its own")
    parser.add_argument("--many", type=int, default=1 + settled.MORE, help="series that it is compared with")
    parser.add_argument("--length", type=int, default=settled.SERIES, help="slices in each")
    parser.add_argument("--size", type=int, default=settled.SMALL, help="rows and columns of a slice")
    parser.add_argument("--per-request", type=int, default=100, help="instances a request; 0: by C-STORE, one association")
    parser.add_argument("--seed", type=int, default=20260102)
    parser.add_argument("--least", type=float, default=0.05, help="bytes an instance below which a row is not shown")
    return parser.parse_args()


def tables(database):
    """Bytes of each table and index; of the pages that hold them and nothing free."""
    try:
        return dict(database.execute("SELECT name, SUM(pgsize) FROM dbstat GROUP BY name"))
    except sqlite3.OperationalError:
        sys.exit("Missing: an SQLite with dbstat for Python's sqlite3.")


def sizes(folder, data_sets):
    """{what: bytes} of everything below; tables under their file."""
    found = collections.Counter()
    for path in (path for path in Path(folder).rglob("*") if path.is_file()):
        name = path.relative_to(folder)
        key = "/".join(name.parts[:2]) + ("/…" if len(name.parts) > 2 else "")
        size = path.stat().st_size
        if not databases.is_one(path):
            found[key] += size
            continue
        free = databases.asked(path, databases.free_bytes)
        found[key] += size - free
        found[f"free pages, not counted: {name}"] += free
        for table, pages in databases.asked(path, tables).items():
            found[f"{key}: {table}"] += pages
    found["data/objects/…"] -= data_sets
    found["all, as the benchmark counts"] = settled.used([folder]) - data_sets
    return found


def settle(options, binary, place, series):
    slices = images.Slices(options.seed, options.size)
    files = []
    for number in range(series):
        files += slices.study(place / f"series-{number}", options.length)[1]
    models = bench.ROOT / "models"
    folder = place / "hilum"
    server = settled.start(binary, folder, models, 1)
    try:
        if options.per_request:
            work.stow(server, files, 1, options.per_request)
        else:
            work.c_store(server, files, 1)
        settled.wait_until_packed(server, 1)
        server.end()
        server = settled.at_rest(binary, folder, models, server)
        return sizes(folder / "run", sum(settled.data_set(file.path) for file in files))
    finally:
        server.stop()


def main():
    options = arguments()
    binary = options.hilum or bench.release_binary()
    bench.CACHE.mkdir(exist_ok=True)
    found = []
    for series in (options.few, options.many):
        with tempfile.TemporaryDirectory(prefix="budget-", dir=bench.CACHE) as place:
            found.append(settle(options, binary, Path(place), series))
    few, many = found
    instances = (options.many - options.few) * options.length
    print(f"{'few':>12} {'many':>12} {'each':>9}  file or table")
    for name in sorted(many.keys() | few.keys(), key=lambda name: (name.split(":")[0], few[name] - many[name])):
        each = (many[name] - few[name]) / instances
        if abs(each) >= options.least:
            print(f"{few[name]:>12,} {many[name]:>12,} {each:>9.2f}  {name}")


if __name__ == "__main__":
    main()
