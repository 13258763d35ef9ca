"""What the audit trail and authorisation cost: Hilum beside a build of it whose trail records nothing and
whose role check lets everybody through (bench/null-recorder.patch). Prints a table and writes
docs/benchmarks-audit.md."""

import argparse
import datetime
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import urlencode

import bench
import images
import servers
import work

ROOT = bench.ROOT
PATCH = ROOT / "bench/null-recorder.patch"
NULL = "null recorder"
DICOM_JSON = "application/dicom+json"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audit", action="store_true", required=True)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--null", default=None, help="the binary of the patched build [default: build it]")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--quick", action="store_true", help="two rounds, and no docs/benchmarks-audit.md")
    return parser.parse_args()


def null_binary(place):
    """Builds what git has, patched, beside the release build."""
    source = place / "source"
    source.mkdir()
    archive = subprocess.Popen(["git", "archive", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(source)], stdin=archive.stdout, check=True)
    subprocess.run(["patch", "-s", "-p1", "-i", str(PATCH)], cwd=source, check=True)
    shutil.copytree(ROOT / "web/dist", source / "web/dist")
    target = bench.release_binary().parent.parent / "null-recorder"
    bench.progress("building Hilum with a recorder that records nothing …")
    command = ["cargo", "build", "--release", "--locked", "-p", "hilum"]
    environment = {**os.environ, "CARGO_TARGET_DIR": str(target)}
    subprocess.run(command, cwd=source, env=environment, check=True)
    return str(target / "release/hilum")


def key_of(binary, server, role):
    """An API key, so that whoever asks is looked up as a hospital's program is."""
    data = str(server.folders[0] / "data")
    command = [binary, "keys", "create", "--data", data, "--name", "bench", "--role", role, "--json"]
    made = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(made.stdout)["key"]


class Cost:
    # What is measured, and what it is held against.
    names = ("Hilum", NULL)
    costs = "the trail's share"

    def __init__(self, options):
        self.rounds = 2 if options.quick else options.rounds
        self.options = options
        self.table = bench.Table()
        self.slices = images.Slices(20260102)
        self.load = os.getloadavg()[0]

    def run(self):
        binary = self.options.hilum or str(bench.release_binary())
        bench.CACHE.mkdir(exist_ok=True)
        # Not in /tmp, which may be memory: fsync has to cost what it costs.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.CACHE) as place:
            self.place = Path(place)
            self.disk = bench.disk(self.place)
            null = self.options.null or null_binary(self.place)
            pair = []
            try:
                for name, one in zip(self.names, (binary, null)):
                    server = servers.hilum(one, self.place / name.replace(" ", "-"), ROOT / "models")
                    server.name = name
                    pair.append(server)
                # The other's door is the operator's token, which is compared and nothing else.
                pair[0].token = key_of(binary, pair[0], "integration")
                self.intake(pair)
                self.questions(pair)
            finally:
                for server in pair:
                    server.stop()
        self.report()

    def order(self, number, pair):
        return pair if number % 2 == 0 else list(reversed(pair))

    def intake(self, pair):
        for number in range(self.rounds):
            for associations, count in ((1, 150), (8, 300)):
                _, files = self.slices.study(self.place / f"{number}-{associations}", count)
                os.sync()
                title = f"C-STORE, {associations} association{'s' * (associations > 1)}"
                for server in self.order(number, pair):
                    seconds = work.c_store(server, files, associations)
                    self.table.add(title, "instances/s", "more", server.name, len(files) / seconds)
                for one in files:
                    one.path.unlink()
            _, files = self.slices.study(self.place / f"{number}-stow", 150)
            os.sync()
            for server in self.order(number, pair):
                seconds = work.stow(server, files, 1, 50)
                self.table.add("STOW-RS, 1 client × 50 a request", "instances/s", "more", server.name, len(files) / seconds)
            bench.progress(f"intake, round {number + 1} of {self.rounds}")

    def questions(self, pair):
        """Each kind first asked with words that nobody used before, then asked again."""
        patient, files = self.slices.study(self.place / "read", 20)
        studies, others = self.slices.study(self.place / "others", 1, studies=self.rounds * 20)
        for server in pair:
            work.stow(server, files, 1, 20)
            work.stow(server, others, 1, 20)
        time.sleep(5)
        webs = {server.name: work.Plain(server) for server in pair}
        one = files[0]
        again = [
            ("QIDO by patient, asked again", "/studies?" + urlencode({"PatientID": patient})),
            ("metadata of a study, looked at again", f"/studies/{one.study}/metadata"),
            ("a frame, looked at again", f"/studies/{one.study}/series/{one.series}/instances/{one.uid}/frames/1"),
        ]
        for number in range(self.rounds):
            new = [
                (
                    "QIDO by patient, asked first",
                    ["/studies?" + urlencode({"PatientID": f"NEW{number}-{each}"}) for each in range(20)],
                ),
                (
                    "metadata of a study, looked at first",
                    [f"/studies/{other.study}/metadata" for other in others[number * 20 : number * 20 + 20]],
                ),
            ]
            for title, paths in [*new, *((title, [path] * 40) for title, path in again)]:
                for server in self.order(number, pair):
                    taken = sorted(self.ask(webs[server.name], path) for path in paths)
                    self.table.add(title, "ms", "less", server.name, 1000 * taken[len(taken) // 2])
        bench.progress("questions: done")

    def ask(self, web, path):
        accept = 'multipart/related; type="application/octet-stream"' if "/frames/" in path else DICOM_JSON
        return web.get(path, accept)[0]

    def markdown(self):
        ours, other = self.names
        lines = [f"| work | unit | {ours} | {other} | {self.costs} |", "|---|---|---|---|---|"]
        for name, (unit, better, sides) in self.table.rows.items():
            ours, null = (sides[name] for name in self.names)
            if better == "more":
                share = self.table.spread([100 * (other / own - 1) for own, other in zip(ours, null)]) + " %"
            else:
                share = self.table.spread([own - other for own, other in zip(ours, null)]) + " ms"
            lines.append(f"| {name} | {unit} | {self.table.spread(ours)} | {self.table.spread(null)} | **{share}** |")
        return "\n".join(lines)

    def report(self):
        text = f"""# What the audit trail costs

Written by `make bench ARGS=--audit`; measured, not promised. Hilum is beside a build of the same source
whose trail records nothing and whose role check lets everybody through (`bench/null-recorder.patch`; no
switch of the product does that). Both got the same files and questions in turns that alternate each round.
Median of {self.rounds} rounds, with minimum and maximum; the share is taken round by round: of
intake, how much longer the same work takes; of a question, how much later its answer comes.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {bench.machine(self.load)}
- Disk: {self.disk}

{self.markdown()}

A question that nobody asked before, and the first look of a session at a study, wait until their entry is
durable: that is the disk's time for one commit. Asked again, they are counted in memory.
"""
        bench.tell(text, self.options, "benchmarks-audit.md")


if __name__ == "__main__":
    bench.run(Cost(arguments()))
