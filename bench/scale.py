"""Hilum's index with ten years of a hospital in it, once with every instance still a row and once with all of
them settled: how long the worklist, queries, look-ups and the start take, warm and with nothing in memory.
Fills an index in bulk, asks a real server over HTTP, prints tables and writes docs/benchmarks-scale.md.
Needs some ten gigabytes and an hour."""

import argparse
import contextlib
import datetime
import json
import mmap
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlencode

import bench
import servers
import work

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"
DROP = Path("/proc/sys/vm/drop_caches")
JSON = "application/json"
DICOM_JSON = "application/dicom+json"
# Seconds of nothing before memory is read: what start-up needed is given back.
IDLE = 10
# What the loader is told for each form of the same instances.
LOADS = {"unsettled": "load", "settled": "load-settled"}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--loader", default=None, help="the example `scale` of hilum-archive [default: built]")
    parser.add_argument("--data", default=None, help="a folder whose `unsettled` and `settled` are loaded once and kept")
    parser.add_argument("--studies", type=int, default=1_000_000)
    parser.add_argument("--instances", type=int, default=10_000_000)
    parser.add_argument("--times", type=int, default=300, help="questions of each kind")
    parser.add_argument("--cold", type=int, default=5, help="questions of each kind with nothing in memory")
    parser.add_argument("--quick", action="store_true", help="a hundredth of it, and no docs/benchmarks-scale.md")
    parser.add_argument("--seed", type=int, default=20260101)
    options = parser.parse_args()
    if options.quick:
        options.studies, options.instances = options.studies // 100, options.instances // 100
        options.times, options.cold = min(options.times, 50), min(options.cold, 2)
    return options


class Questions:
    """Paths of one kind, always the same ones for a seed."""

    def __init__(self, name, goal, accept, make):
        self.name, self.goal, self.accept, self.make = name, goal, accept, make


MODALITIES = ["CT", "MG", "MR", "PT"]
PARTS = ["smith", "johnson", "son", "jo", "qzx"]
PATTERNS = ["SMITH*", "*SON", "*SON^*", "*SMITH*", "JO*", "*QZX*"]
FIRST = datetime.date(2016, 11, 1)
DAYS = 3_652


def between(chance, count):
    last = FIRST + datetime.timedelta(count + chance.randrange(DAYS - count))
    return last - datetime.timedelta(count), last


def worklist(count):
    def make(chance):
        first, last = between(chance, count)
        query = {"from": f"{first:%Y%m%d}", "to": f"{last:%Y%m%d}", "modality": chance.choice(MODALITIES)}
        return "/api/v1/studies?" + urlencode(query | {"patient_name": chance.choice(PARTS), "limit": 25})

    return make


def qido(**query):
    return "/dicomweb/studies?" + urlencode(query)


def wild(count):
    def make(chance):
        first, last = between(chance, count)
        dates = f"{first:%Y%m%d}-{last:%Y%m%d}"
        modality, name = chance.choice(MODALITIES), chance.choice(PATTERNS)
        return qido(StudyDate=dates, ModalitiesInStudy=modality, PatientName=name, limit=25)

    return make


def questions(samples):
    deep = 100 * (min(400, samples["studies"] // 200) - 1)
    page = deep // 100 + 1
    return [
        Questions("worklist: 7 days, modality, part of a name, newest 25", 5, JSON, worklist(7)),
        Questions("worklist: 90 days, the same", 5, JSON, worklist(90)),
        Questions("worklist: three years, the same", 5, JSON, worklist(1_095)),
        Questions(
            "worklist: part of a name, all years",
            5,
            JSON,
            lambda chance: "/api/v1/studies?" + urlencode({"patient_name": chance.choice(PARTS), "limit": 25}),
        ),
        Questions("worklist: newest 100", 20, JSON, lambda chance: "/api/v1/studies?limit=100"),
        Questions("QIDO: 7 days, modality, wild-card name, newest 25", 5, DICOM_JSON, wild(7)),
        Questions("QIDO: 90 days, the same", 5, DICOM_JSON, wild(90)),
        Questions("QIDO: three years, the same", 5, DICOM_JSON, wild(1_095)),
        Questions("QIDO by patient", 5, DICOM_JSON, lambda chance: qido(PatientID=chance.choice(samples["patients"]))),
        Questions(
            "QIDO by accession", 5, DICOM_JSON, lambda chance: qido(AccessionNumber=chance.choice(samples["accessions"]))
        ),
        Questions("QIDO: page 1 of 100", 20, DICOM_JSON, lambda chance: qido(limit=100)),
        Questions(f"QIDO: page {page} of 100", 20, DICOM_JSON, lambda chance: qido(limit=100, offset=deep)),
    ]


class Scale:
    def __init__(self, options):
        self.options = options
        self.binary = options.hilum or str(bench.release_binary())
        self.load = os.getloadavg()[0]

    def run(self):
        if not Path(self.binary).exists():
            sys.exit(f"Missing: {self.binary}. Build it with: make build")
        self.loader = self.options.loader or built_loader()
        CACHE.mkdir(exist_ok=True)
        root = Path(self.options.data) if self.options.data else CACHE / "scale"
        sections = [self.of_form(root / form, form) for form in LOADS]
        self.report(sections)

    def of_form(self, data, form):
        try:
            if not (data / "samples.json").exists():
                shutil.rmtree(data, ignore_errors=True)
                data.mkdir(parents=True)
                bench.progress(f"loading {self.options.studies} studies with {self.options.instances} {form} instances")
                sizes = [str(self.options.studies), str(self.options.instances)]
                subprocess.run([self.loader, LOADS[form], str(data), *sizes], check=True)
            return self.measure(data)
        finally:
            if not self.options.data:
                shutil.rmtree(data, ignore_errors=True)

    def measure(self, data):
        samples = json.loads((data / "samples.json").read_text())
        self.disk = bench.disk(data)
        (data / "disk").unlink()
        # The first start applies what is new of the tables' form.
        self.serve(data).stop()
        starts = [self.start_seconds(data, cold=False) for _ in range(5)]
        cold_starts = [self.start_seconds(data, cold=True) for _ in range(self.options.cold)]
        server = self.serve(data)
        try:
            with in_memory(data):
                rested()
                time.sleep(IDLE)
                idle = memory(server.pid)
                rows = [self.warm(server, kind) for kind in questions(samples)]
            time.sleep(IDLE)
            after = memory(server.pid)
        finally:
            server.stop()
        colds = [self.cold(data, kind) for kind in questions(samples)]
        bench.progress("asking the archive in its own process")
        with in_memory(data):
            rested()
            within = subprocess.run(
                [self.loader, "ask", str(data), str(self.options.times)], capture_output=True, text=True, check=True
            ).stdout
        return self.section(samples, rows, colds, (starts, cold_starts), (idle, after), within, data)

    def serve(self, data):
        folder = data / "bench"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return servers.hilum_at(self.binary, data, folder, ROOT / "models")

    def start_seconds(self, data, cold):
        if cold and not drop_caches():
            return None
        begin = time.perf_counter()
        server = self.serve(data)
        seconds = time.perf_counter() - begin
        server.stop()
        return seconds

    def ask(self, web, kind, path):
        seconds, _, body = web.get(path, kind.accept)
        found = json.loads(body)
        return 1000 * seconds, len(found["items"] if isinstance(found, dict) else found)

    def warm(self, server, kind):
        web, chance = Web(server), random.Random(self.options.seed)
        asked = [self.ask(web, kind, kind.make(chance)) for _ in range(self.options.times)]
        times = sorted(each for each, _ in asked)
        bench.progress(f"{kind.name}: p50 {quantile(times, 50):.2f} ms, p99 {quantile(times, 99):.2f} ms")
        return kind, times, sum(rows for _, rows in asked) / len(asked)

    def cold(self, data, kind):
        """The first question after a start with nothing of the files in memory."""
        times, chance = [], random.Random(self.options.seed + 1)
        for _ in range(self.options.cold):
            if not drop_caches():
                return None
            server = self.serve(data)
            try:
                times.append(self.ask(Web(server), kind, kind.make(chance))[0])
            finally:
                server.stop()
        if times:
            bench.progress(f"{kind.name}: cold {statistics.median(times):.1f} ms")
        return times

    def section(self, samples, rows, colds, starts, memories, within, data):
        lines = ["| question over HTTP | goal, p99 | p50 | p99 | cold: median (most) | rows |", "|---|---|---|---|---|---|"]
        for (kind, times, found), cold in zip(rows, colds):
            goal = f"{kind.goal} ms" if kind.goal else "none"
            spread = f"{statistics.median(cold):.1f} ms ({max(cold):.1f})" if cold else "not measured"
            lines.append(
                f"| {kind.name} | {goal} | {quantile(times, 50):.2f} ms | {quantile(times, 99):.2f} ms | {spread} | {found:.0f} |"
            )
        table = "\n".join(lines)
        warm_start, cold_start = starts
        cold_text = f"{statistics.median(cold_start):.2f} s" if cold_start and None not in cold_start else "not measured"
        size, lookup = (data / "archive.sqlite").stat().st_size, size_below(data / "lookup")
        return f"""## {samples["instances"]:,} {samples["form"]} instances

- {samples["studies"]:,} studies of {samples["studies"] // 3:,} patients; the index has {size / 1e9:.2f} GB, the look-up {lookup / 1e9:.2f} GB
- Start to ready: {statistics.median(warm_start):.2f} s (goal: under 1 s); with nothing in memory {cold_text}
- Memory of the process, idle after the start: {memories[0]} (goal: under 64 MB); idle after all questions: {memories[1]}

{table}

The archive asked in its own process, without HTTP, in milliseconds; `cpu` is the time on a processor, which
others on the machine change less:

```
{within.strip()}
```
"""

    def report(self, sections):
        text = f"""# Benchmarks at scale

Written by `make bench ARGS=--scale`; measured, not promised. An index filled in bulk with ten years of a
hospital, almost without images, is asked by a real server over loopback HTTP: {self.options.times} questions of
each kind with random days, modalities and names, the index in the system's file cache. Cold: the first
question after a start with that cache dropped. A load above one before the run says that the machine was shared. Of settled
instances, those that are looked up by UID are in packs that the archive wrote itself; the others are rows of
series and packs, and entries of the look-up.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {bench.machine(self.load)}
- Disk: {self.disk}

"""
        text += "\n".join(sections)
        bench.tell(text, self.options, "benchmarks-scale.md")


def size_below(folder):
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


class Web(work.Web):
    """As work.Web, by the server's own root."""

    def __init__(self, server):
        server.root = ""
        super().__init__(server)


def built_loader():
    bench.progress("building the loader")
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "-p", "hilum-archive", "--example", "scale"], cwd=ROOT, check=True
    )
    return str(bench.release_binary().parent / "examples/scale")


@contextlib.contextmanager
def in_memory(data):
    """The system has the index in memory, as on a server that has been asked for a while. It is mapped, because some
    systems drop what nobody read for a minute."""
    with contextlib.ExitStack() as held:
        for file in filter(Path.is_file, [*data.glob("*.sqlite"), *(data / "lookup").rglob("*")]):
            if file.stat().st_size:
                index = held.enter_context(file.open("rb"))
                flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
                held.enter_context(mmap.mmap(index.fileno(), 0, flags=flags, prot=mmap.PROT_READ))
        yield


def rested():
    """Waits until what was written and dropped is no work for the system any more, for two minutes at most."""

    def spent():
        times = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
        return sum(times), times[3]

    for _ in range(120):
        (before, idle_before) = spent()
        time.sleep(1)
        (after, idle_after) = spent()
        if idle_after - idle_before >= 0.9 * (after - before):
            return


def drop_caches():
    """False where this user may not."""
    os.sync()
    try:
        DROP.write_text("3")
    except OSError:
        return False
    return True


def memory(pid):
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    size = {name: int(status[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon")}
    return f"{size['VmRSS']:.0f} MB, of which {size['RssAnon']:.0f} MB its own and the rest mapped files"


def quantile(ordered, percent):
    return ordered[(len(ordered) - 1) * percent // 100]


if __name__ == "__main__":
    Scale(arguments()).run()
