"""What open pages cost: a thousand of them, each with a stream of live updates, ask for the worklist again when
something changed, as the web application does, while images come in and twenty people work. Prints a table
and writes docs/benchmarks-pages.md."""

import argparse
import asyncio
import datetime
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import bench
import images
import limit
import servers
import work

PAGES = 1000
KEYS = 50
PEOPLE = 20
# Between two things that one of them does.
THINKS = 0.5
SECONDS = 20
# Slices that devices send each second.
BURST = 40
# The web application's own rules (web/src/api/live.ts).
SETTLE, LONGEST, PARTS, LONGEST_PAUSE = 0.3, 1.5, 10, 30
WORKLIST = "/api/v1/studies?limit=50"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", action="store_true", required=True)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds, and no docs/benchmarks-pages.md")
    parser.add_argument("--open", nargs=2, metavar=("PORT", "COUNT"), help=argparse.SUPPRESS)
    return parser.parse_args()


class Asking:
    """One kept connection."""

    def __init__(self, port, key):
        self.port, self.key, self.streams = port, key, None

    async def get(self, path, accept="application/json"):
        """Seconds and status of one question; what is answered is read to its end."""
        start = time.perf_counter()
        if self.streams is None:
            self.streams = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 22)
        reader, writer = self.streams
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nAuthorization: Bearer {self.key}\r\n\r\n".encode()
        )
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"\r\ntransfer-encoding: chunked" in head:
                while size := int((await reader.readline()).split(b";")[0], 16):
                    await reader.readexactly(size + 2)
                await reader.readline()
            else:
                await reader.readexactly(int(head.split(b"\r\ncontent-length:")[1].split(b"\r\n")[0]))
        except (OSError, asyncio.IncompleteReadError):
            writer.close()
            self.streams = None
            raise
        return time.perf_counter() - start, int(head.split()[1])


class Page:
    """What a browser has open: a stream, and a connection by which it asks again."""

    asked = told = failed = live = 0

    def __init__(self, port, key):
        self.asking, self.took, self.called = Asking(port, key), 0, 0
        self.first = self.due = None
        self.is_asking = False

    async def stay(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.asking.port)
        writer.write(
            f"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {self.asking.key}\r\n\r\n".encode()
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            Page.failed += 1
            return
        Page.live += 1
        while data := await reader.read(65536):
            if b"event: " in data:
                Page.told += data.count(b"event: ")
                self.ring()
        Page.live -= 1

    def ring(self):
        now = time.monotonic()
        if self.due is None:
            self.first = now
        else:
            self.due.cancel()
        rested = self.called + min(self.took * PARTS, LONGEST_PAUSE)
        wait = max(0, min(SETTLE, self.first + LONGEST - now), rested - now)
        self.due = asyncio.get_running_loop().call_later(wait, lambda: asyncio.ensure_future(self.ask()))

    async def ask(self):
        if self.is_asking:
            self.due = asyncio.get_running_loop().call_later(SETTLE, lambda: asyncio.ensure_future(self.ask()))
            return
        self.due, self.called, self.is_asking = None, time.monotonic(), True
        Page.asked += 1
        try:
            self.took, status = await self.asking.get(WORKLIST)
            Page.failed += status != 200
        except (OSError, asyncio.IncompleteReadError):
            Page.failed += 1
        self.is_asking = False


async def hold(port, count):
    """Opens pages and answers each line of input with what they have met since the one before."""
    keys = json.loads(sys.stdin.readline())
    pages = [Page(port, keys[nth % len(keys)]) for nth in range(count)]
    staying = []
    for page in pages:
        staying.append(asyncio.ensure_future(page.stay()))
        if len(staying) % 50 == 0:
            await asyncio.sleep(0.05)
    while Page.live + Page.failed < count:
        await asyncio.sleep(0.05)
    loop = asyncio.get_running_loop()
    while True:
        print(json.dumps({"live": Page.live, "asked": Page.asked, "told": Page.told, "failed": Page.failed}), flush=True)
        Page.asked = Page.told = Page.failed = 0
        if not await loop.run_in_executor(None, sys.stdin.readline):
            return


class Open:
    """So many pages, in a process of their own."""

    def __init__(self, port, count, keys):
        command = [sys.executable, __file__, "--pages", "--open", str(port), str(count)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdin.write(json.dumps(keys) + "\n")
        self.process.stdin.flush()
        self.count = count
        self.told()

    def told(self):
        """What they have met since this was asked before."""
        told = json.loads(self.process.stdout.readline())
        if told["live"] != self.count:
            raise work.Wrong(f"of {self.count} pages {told['live']} are live")
        return told

    def met(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.told()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Pages:
    def __init__(self, options):
        self.options = options
        self.rounds = 2 if options.quick else options.rounds
        self.table = bench.Table()
        self.slices = images.Slices(20260106)
        self.load = os.getloadavg()[0]

    def run(self):
        binary = self.options.hilum or str(bench.release_binary())
        bench.CACHE.mkdir(exist_ok=True)
        # Not in /tmp, which may be memory: fsync has to cost what it costs.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.CACHE) as place:
            self.place = Path(place)
            self.server = servers.hilum(binary, self.place / "hilum", bench.ROOT / "models")
            try:
                self.keys = [self.key(binary, nth) for nth in range(KEYS)]
                self.patient, self.files = self.slices.study(self.place / "read", 40)
                _, others = self.slices.study(self.place / "others", 1, patient=self.patient, studies=60)
                work.stow(self.server, self.files, 1, 20)
                work.stow(self.server, others, 1, 20)
                time.sleep(10)
                self.memory()
                for number in range(self.rounds):
                    for pages in (0, PAGES) if number % 2 == 0 else (PAGES, 0):
                        self.round(number, pages)
                    bench.progress(f"round {number + 1} of {self.rounds}")
            finally:
                self.server.stop()
        self.report()

    def key(self, binary, nth):
        data = str(self.server.folders[0] / "data")
        command = [binary, "keys", "create", "--data", data, "--name", f"page {nth}", "--role", "radiologist", "--json"]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["key"]

    def memory(self):
        """What a page takes that is open and hears nothing."""
        for count in (PAGES, 5 * PAGES):
            before = limit.memory(self.server.pid, "VmRSS")
            pages = Open(self.server.http_port, count, self.keys)
            time.sleep(10)
            taken = 1024 * (limit.memory(self.server.pid, "VmRSS") - before) / count
            self.table.add(f"Memory for a page, of {count} that are idle", "kB", "less", "with", taken)
            pages.close()
            time.sleep(5)
        bench.progress("memory: done")

    def round(self, number, count):
        _, files = self.slices.study(self.place / f"{number}-{count}", SECONDS * BURST)
        os.sync()
        pages = Open(self.server.http_port, count, self.keys) if count else None
        side = "with" if count else "without"
        bursts, problems = [], []
        sender = threading.Thread(target=self.send, args=(files, bursts, problems))
        sender.start()
        taken, wrong = asyncio.run(self.people())
        sender.join()
        met = pages.met() if pages else {}
        if problems:
            raise problems[0]
        if pages:
            pages.close()
        for file in files:
            file.path.unlink()
        taken.sort()
        for name, part in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
            self.table.add(f"API, {name} of {PEOPLE} people's questions", "ms", "less", side, 1000 * taken[int(part * len(taken))])
        self.table.add("API, questions that failed", "", "less", side, wrong)
        taken_by_bursts = sorted(bursts)[len(bursts) // 2]
        self.table.add(f"Intake beside: {BURST} slices", "ms", "less", side, 1000 * taken_by_bursts)
        if met:
            self.table.add("Worklists that pages asked for", "1/s", "more", side, met["asked"] / SECONDS)
            self.table.add("Notices that pages got", "1/s", "more", side, met["told"] / SECONDS)
            self.table.add("Pages' questions that failed", "", "less", side, met["failed"])

    def send(self, files, bursts, problems):
        """Some slices a second, by two associations."""
        start = time.monotonic()
        try:
            for nth in range(SECONDS):
                time.sleep(max(0, start + nth - time.monotonic()))
                bursts.append(work.c_store(self.server, files[nth * BURST : (nth + 1) * BURST], 2))
        except Exception as problem:
            problems.append(problem)

    async def people(self):
        """What twenty people ask in a while, each of them what they do next at a moment of their own."""
        one = self.files[0]
        study = f"/dicomweb/studies/{one.study}"
        paths = [
            (WORKLIST, "application/json"),
            (f"/api/v1/studies/{one.study}", "application/json"),
            ("/api/v1/patients?" + urlencode({"q": "BENCH"}), "application/json"),
            (f"/api/v1/runs?study_uid={one.study}", "application/json"),
            ("/dicomweb/studies?" + urlencode({"PatientID": self.patient}), "application/dicom+json"),
            (f"{study}/metadata", "application/dicom+json"),
            (f"{study}/series/{one.series}/instances/{one.uid}/frames/1", 'multipart/related; type="application/octet-stream"'),
        ]
        taken, wrong, until = [], 0, time.monotonic() + SECONDS

        async def work_on(nth):
            nonlocal wrong
            asking, chosen = Asking(self.server.http_port, self.keys[nth]), random.Random(nth)
            await asyncio.sleep(chosen.random() * THINKS)
            while time.monotonic() < until:
                seconds, status = await asking.get(*chosen.choice(paths))
                taken.append(seconds)
                wrong += status != 200
                await asyncio.sleep(THINKS * (0.5 + chosen.random()))

        await asyncio.gather(*(work_on(nth) for nth in range(PEOPLE)))
        return taken, wrong

    def markdown(self):
        sides = ("without", "with")
        lines = [f"| | unit | no page | {PAGES} pages |", "|---|---|---|---|"]
        for title, (unit, _, row) in self.table.rows.items():
            lines.append(f"| {title} | {unit} | {' | '.join(self.table.spread(row[side]) if side in row else '' for side in sides)} |")
        return "\n".join(lines)

    def report(self):
        text = f"""# What open pages cost

Written by `make bench ARGS=--pages`; measured, not promised. {PAGES} pages are open at one process with SQLite and
files, all of one organisation, which is the worst: each has a stream of live updates, and asks for the worklist again
when something changed, after the times that the web application takes for it. Meanwhile {PEOPLE} people do
something every {THINKS} s (worklist, a study, patients, runs, QIDO, metadata, a frame), and dcmtk's storescu sends
{BURST} slices of 0.5 MB each second over two associations. Who asks and the server share two cores. {self.rounds} rounds of {SECONDS} s, with and
without pages in turns; median, with minimum and maximum.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {bench.machine(self.load)}

{self.markdown()}
"""
        bench.tell(text, self.options, "benchmarks-pages.md")


if __name__ == "__main__":
    options = arguments()
    if options.open:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
        asyncio.run(hold(*map(int, options.open)))
        sys.exit()
    bench.run(Pages(options))
