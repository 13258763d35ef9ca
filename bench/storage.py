"""Where the index and the objects are: Hilum on SQLite and PostgreSQL, with objects in files and in a bucket
whose every PUT takes 50 ms, beside Orthanc on SQLite and PostgreSQL: intake and questions. Prints a table and
writes docs/benchmarks-storage.md."""

import argparse
import datetime
import os
import tempfile
import time
from pathlib import Path

import bench
import engines
import images
import servers
import work

PUT_MS = 50
HILUM = {
    "Hilum: SQLite, files": (),
    "Hilum: SQLite, bucket": ("bucket",),
    "Hilum: PostgreSQL, files": ("database",),
    "Hilum: PostgreSQL, bucket": ("database", "bucket"),
}
ORTHANC = {"Orthanc: SQLite, files": False, "Orthanc: PostgreSQL, files": True}
SIDES = [*HILUM, *ORTHANC]
RATIOS = {
    "PostgreSQL / SQLite (files)": ("Hilum: PostgreSQL, files", "Hilum: SQLite, files"),
    "bucket / files (SQLite)": ("Hilum: SQLite, bucket", "Hilum: SQLite, files"),
    "Hilum / Orthanc (PostgreSQL, files)": ("Hilum: PostgreSQL, files", "Orthanc: PostgreSQL, files"),
}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--storage", action="store_true", required=True)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds, and no docs/benchmarks-storage.md")
    return parser.parse_args()


class Storage:
    def __init__(self, options):
        self.rounds = 2 if options.quick else options.rounds
        self.options = options
        self.table = bench.Table()
        self.slices = images.Slices(20260104)
        self.load = os.getloadavg()[0]

    def run(self):
        bench.CACHE.mkdir(exist_ok=True)
        started = []
        # Not in /tmp, which may be memory: fsync has to cost what it costs.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.CACHE) as place:
            self.place = Path(place)
            self.disk = bench.disk(self.place)
            try:
                for server in (engines.Bucket(self.place, PUT_MS), engines.Postgres(self.place)):
                    started.insert(0, server)
                sides = []
                for side in self.sides(*reversed(started)):
                    started.insert(0, side)
                    sides.append(side)
                self.intake(sides)
                self.questions(sides)
                self.postgres = next(one.version for one in started if isinstance(one, engines.Postgres))
                self.orthanc = sides[-1].version
            finally:
                for one in started:
                    one.stop()
        self.report()

    def sides(self, bucket, postgres):
        binary = self.options.hilum or str(bench.release_binary())
        at = {"bucket": bucket, "database": postgres}
        for number, (name, parts) in enumerate(HILUM.items()):
            config = self.place / f"of-{number}.toml"
            config.write_text("".join(at[part].settings(f"of-{number}") for part in parts))
            folder = self.place / f"of-{number}"
            side = servers.hilum(binary, folder, bench.ROOT / "models", arguments=["--config", str(config)])
            side.name = name
            yield side
        other = servers.orthanc_in(bench.CACHE / "orthanc-trixie") or servers.orthanc_installed()
        for number, (name, is_on_postgres) in enumerate(ORTHANC.items()):
            database = postgres.of_orthanc() if is_on_postgres else None
            side = servers.orthanc(other, self.place / f"of-orthanc-{number}", database=database)
            side.name = name
            yield side

    def order(self, number, sides):
        return sides if number % 2 == 0 else reversed(sides)

    def intake(self, sides):
        for number in range(self.rounds):
            for associations, count in ((1, 40), (8, 160), (32, 320)):
                _, files = self.slices.study(self.place / f"{number}-{associations}", count)
                os.sync()
                title = f"C-STORE, {associations} association{'s' * (associations > 1)}"
                for side in self.order(number, sides):
                    seconds = work.c_store(side, files, associations)
                    self.table.add(title, "instances/s", "more", side.name, len(files) / seconds)
                for one in files:
                    one.path.unlink()
            bench.progress(f"intake, round {number + 1} of {self.rounds}")

    def questions(self, sides):
        patient, files = self.slices.study(self.place / "read", 100, keep=True)
        _, others = self.slices.study(self.place / "others", 1, patient=patient, studies=19)
        for side in sides:
            work.stow(side, files, 1, 25)
            work.stow(side, others, 1, 19)
        webs = {side.name: work.Plain(side) for side in sides}
        pixels = files[len(files) // 2].data[-2 * images.SIZE**2 :]
        time.sleep(5)
        for name, times, *rest in work.reads(patient, 20, files, pixels):
            if "rendered" in name:
                continue
            for side in sides:
                work.read(webs[side.name], 2, *rest)
            for number in range(self.rounds):
                for side in self.order(number, sides):
                    seconds = work.read(webs[side.name], times, *rest)
                    self.table.add(name, "ms", "less", side.name, 1000 * seconds)
            bench.progress(f"{name}: done")

    def markdown(self):
        lines = [f"| work | unit | {' | '.join([*SIDES, *RATIOS])} |", "|---|---" + "|---" * len([*SIDES, *RATIOS]) + "|"]
        for name, (unit, _, sides) in self.table.rows.items():
            cells = [self.table.spread(sides[side]) for side in SIDES]
            for one, other in RATIOS.values():
                ratios = [a / b for a, b in zip(sides[one], sides[other])]
                cells.append(f"**{self.table.spread(ratios)}**")
            lines.append(f"| {name} | {unit} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def report(self):
        text = f"""# Where index and objects are

Written by `make bench ARGS=--storage`; measured, not promised. Instances of 0.5 MB, sent by dcmtk's storescu and
asked for over DICOMweb. Hilum's index is a file of SQLite or in PostgreSQL {self.postgres} with its defaults; objects
are files, or in npm's s3rver on this machine, which answers each PUT {PUT_MS} ms after it has the object. {self.orthanc}
keeps its index in SQLite or, by its plugin, in the same PostgreSQL, and files otherwise. All six shared two cores
and got the same work in turns whose order alternates each round. Median of {self.rounds} rounds, with minimum and
maximum; a ratio is taken round by round: of instances a second more is better, of milliseconds less.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {bench.machine(self.load)}
- Disk: {self.disk}

{self.markdown()}

*SQLite, files* is also the most that a journal on the node's own disk could reach, which is acknowledged before
the bucket has anything ([ADR 22](adr/0022-objects-in-a-bucket.md)). Of an index in PostgreSQL: [ADR 23](adr/0023-the-index-on-postgresql.md).
"""
        bench.tell(text, self.options, "benchmarks-storage.md")


if __name__ == "__main__":
    bench.run(Storage(arguments()))
