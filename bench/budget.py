"""What a settled instance takes on disk beside its image, by file and by table: settles a long series
the way the benchmark does, and asks SQLite's dbstat about each database."""

import argparse
import contextlib
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

import bench
import images
import servers
import settled
import work


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--series", type=int, default=1, help="series of the study")
    parser.add_argument("--length", type=int, default=settled.SERIES, help="slices in each")
    parser.add_argument("--size", type=int, default=settled.SMALL, help="rows and columns of a slice")
    parser.add_argument("--seed", type=int, default=20260102)
    return parser.parse_args()


def tables(path):
    """Bytes of each table and index with their rows; of the pages that hold them and nothing free."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        try:
            rows = database.execute("SELECT name, SUM(pgsize), SUM(ncell), SUM(unused) FROM dbstat GROUP BY name").fetchall()
        except sqlite3.OperationalError:
            sys.exit("Missing: an SQLite with dbstat for Python's sqlite3.")
        free, size = (database.execute(f"PRAGMA {name}").fetchone()[0] for name in ("freelist_count", "page_size"))
    return rows, free * size


def print_row(total, instances, name):
    if total >= instances:
        print(f"{total:>12,} {total / instances:>9.1f}  {name}")


def print_budget(folder, images_bytes, instances):
    everything = settled.used([folder])
    print(f"{'bytes':>12} {'each':>9}  file or table")
    groups = {}
    for path in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
        size = path.stat().st_size
        with path.open("rb") as file:
            database = file.read(16) == b"SQLite format 3\0"
        name = path.relative_to(folder)
        if not database:
            head = name.parts[:2] if len(name.parts) > 2 else name.parts
            key = "/".join(head) + ("/…" if len(name.parts) > 2 else "")
            groups[key] = groups.get(key, 0) + size
            continue
        rows, free = tables(path)
        print_row(size - free, instances, f"{name} without {free:,} free")
        for table, pages, cells, unused in sorted(rows, key=lambda row: -row[1]):
            print_row(pages, instances, f"    {table}: {cells} cells, {unused:,} unused")
    for name, size in sorted(groups.items(), key=lambda group: -group[1]):
        if name.startswith("data/objects"):
            name, size = f"{name} beyond the images' files", size - images_bytes
            print(f"{size:>12,} {size / instances:>9.1f}  {name}")
        else:
            print_row(size, instances, name)
    print(f"{everything - images_bytes:>12,} {(everything - images_bytes) / instances:>9.1f}  all, as the benchmark counts")


def main():
    options = arguments()
    binary = options.hilum or bench.release_binary()
    models = bench.ROOT / "models"
    bench.CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="budget-", dir=bench.CACHE) as place:
        folder = Path(place) / "hilum"
        slices = images.Slices(options.seed, options.size)
        files = []
        for number in range(options.series):
            files += slices.study(Path(place) / f"series-{number}", options.length)[1]
        server = settled.start(binary, folder, models, 1)
        try:
            work.stow(server, files, 1, 100)
            settled.wait_until_packed(server, 1)
            server.end()
            server = settled.start_again(binary, folder, models, server)
            time.sleep(5)
            server.end()
            size = sum(file.path.stat().st_size for file in files)
            print_budget(folder / "run", size, len(files))
        finally:
            server.stop()


if __name__ == "__main__":
    main()
