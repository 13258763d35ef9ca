"""Where durable is: intake with objects in files, and in a bucket whose every PUT takes 50 ms, beside
Orthanc on files. Prints a table and writes docs/benchmarks-objects.md."""

import argparse
import datetime
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import images
import servers
import work

PUT_MS = 50
FILES, BUCKET, ORTHANC = "Hilum, files", "Hilum, bucket", "Orthanc, files"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--objects", action="store_true", required=True)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds, and no docs/benchmarks-objects.md")
    return parser.parse_args()


class Bucket:
    """npm's s3rver, which answers each PUT after a while. It ends with its input."""

    def __init__(self, place):
        self.port = servers.free_port()
        script = bench.ROOT / "crates/testkit/node/s3.mjs"
        command = ["node", script, bench.CACHE / "s3rver", str(self.port), place / "buckets", "hilum", str(PUT_MS)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                time.sleep(0.05)
        (place / "secret").write_text("S3RVER")
        self.settings = (
            f'[objects]\nbucket = "hilum"\nendpoint = "http://127.0.0.1:{self.port}"\n'
            f'access_key_id = "S3RVER"\nsecret_access_key_file = "{place / "secret"}"\n'
        )

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Objects:
    def __init__(self, options):
        self.rounds = 2 if options.quick else options.rounds
        self.options = options
        self.table = bench.Table()
        self.slices = images.Slices(20260104)
        self.load = os.getloadavg()[0]

    def run(self):
        binary = self.options.hilum or str(bench.release_binary())
        bench.CACHE.mkdir(exist_ok=True)
        # Not in /tmp, which may be memory: fsync has to cost what it costs.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.CACHE) as place:
            self.place = Path(place)
            self.disk = bench.disk(self.place)
            bucket = Bucket(self.place)
            (self.place / "bucket.toml").write_text(bucket.settings)
            models = bench.ROOT / "models"
            sides = []
            try:
                more = ["--config", str(self.place / "bucket.toml")]
                sides.append(servers.hilum(binary, self.place / "of-files", models))
                sides.append(servers.hilum(binary, self.place / "of-bucket", models, arguments=more))
                other = servers.orthanc_in(bench.CACHE / "orthanc-trixie") or servers.orthanc_installed()
                self.version = other.version
                sides.append(servers.orthanc(other, self.place / "of-orthanc"))
                for side, name in zip(sides, (FILES, BUCKET, ORTHANC)):
                    side.name = name
                self.intake(sides)
            finally:
                for side in sides:
                    side.stop()
                bucket.stop()
        self.report()

    def intake(self, sides):
        for number in range(self.rounds):
            for associations, count in ((1, 40), (8, 160), (32, 320)):
                _, files = self.slices.study(self.place / f"{number}-{associations}", count)
                os.sync()
                title = f"C-STORE, {associations} association{'s' * (associations > 1)}"
                for side in sides if number % 2 == 0 else reversed(sides):
                    seconds = work.c_store(side, files, associations)
                    self.table.add(title, "instances/s", "more", side.name, len(files) / seconds)
                for one in files:
                    one.path.unlink()
            bench.progress(f"intake, round {number + 1} of {self.rounds}")

    def markdown(self):
        lines = [f"| work | {FILES} | {BUCKET} | {ORTHANC} | bucket / Orthanc |", "|---|---|---|---|---|"]
        for name, (_, _, sides) in self.table.rows.items():
            figures = [self.table.spread(sides[side]) for side in (FILES, BUCKET, ORTHANC)]
            ratio = self.table.spread([ours / theirs for ours, theirs in zip(sides[BUCKET], sides[ORTHANC])])
            lines.append(f"| {name} | {' | '.join(figures)} | **{ratio}** |")
        return "\n".join(lines)

    def report(self):
        text = f"""# Where durable is: files, or a bucket whose PUT takes {PUT_MS} ms

Written by `make bench ARGS=--objects`; measured, not promised. Instances of 0.5 MB a second, sent by dcmtk's
storescu. The bucket is npm's s3rver on this machine, on the same two cores, which answers each PUT {PUT_MS} ms
after it has the object; Orthanc {self.version} keeps files. All got the same files in turns that alternate each
round. Median of {self.rounds} rounds, with minimum and maximum; the ratio is taken round by round.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {bench.machine(self.load)}
- Disk: {self.disk}

{self.markdown()}

The column of files is also the most that a journal on the node's own disk could reach, which is acknowledged
before the bucket has anything ([ADR 22](adr/0022-objects-in-a-bucket.md)).
"""
        print(text)
        if not self.options.quick:
            target = bench.ROOT / "docs/benchmarks-objects.md"
            target.write_text(text)
            print(f"Written to {target.relative_to(bench.ROOT)}.")


if __name__ == "__main__":
    try:
        Objects(arguments()).run()
    except (work.Wrong, RuntimeError, OSError, subprocess.SubprocessError) as problem:
        sys.exit(f"The bench ended early: {problem}")
