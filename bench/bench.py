"""Hilum and Orthanc side by side on the same files: interleaved in one run, fresh files each round,
medians with spread. Prints a table and writes docs/benchmarks.md."""

import argparse
import datetime
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import images
import inference
import limit
import servers
import settled
import work

ROOT = Path(__file__).resolve().parent.parent
CACHE = ROOT / ".cache"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="two rounds of fewer files, and no docs/benchmarks.md")
    parser.add_argument("--no-inference", action="store_true")
    parser.add_argument("--seed", type=int, default=20260101)
    return parser.parse_args()


class Table:
    """Rows of figures: {work: (unit, higher is better, {server: [one per round]})}."""

    def __init__(self):
        self.rows = {}

    def add(self, name, unit, better, server, value):
        row = self.rows.setdefault(name, (unit, better, {}))
        row[2].setdefault(server, []).append(value)

    def spread(self, values):
        low, middle, high = min(values), statistics.median(values), max(values)
        digits = 0 if middle >= 100 else 1 if middle >= 10 else 2
        return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"

    def ratio(self, sides, other):
        """Round by round, for both sides of a round met the same machine."""
        if "Hilum" not in sides or other not in sides:
            return ""
        return self.spread([ours / theirs for ours, theirs in zip(sides["Hilum"], sides[other])])

    def markdown(self, columns):
        lines = ["| work | unit | " + " | ".join(columns) + " | Hilum / Orthanc | Hilum / limit |", "|---|---" + "|---" * (len(columns) + 2) + "|"]
        for name, (unit, better, sides) in self.rows.items():
            cells = [self.spread(sides[column]) if column in sides else "" for column in columns]
            ratio = self.ratio(sides, "Orthanc")
            if ratio:
                ratio = f"**{ratio}** {'times as many' if better == 'more' else 'of it'}"
            lines.append(f"| {name} | {unit} | " + " | ".join(cells) + f" | {ratio} | {self.ratio(sides, 'limit')} |")
        return "\n".join(lines)


class Bench:
    def __init__(self, options):
        self.options = options
        self.rounds = 2 if options.quick else options.rounds
        self.scale = 0.2 if options.quick else 1.0
        self.table = Table()
        self.notes = []
        self.load = os.getloadavg()[0]
        self.slices = images.Slices(options.seed)
        self.binary = options.hilum or str(release_binary())
        self.at = servers.orthanc_in((CACHE / "orthanc-trixie").resolve()) or servers.orthanc_installed()
        self.sender = work.other_sender(CACHE)

    def note(self, text):
        self.notes.append(text)
        progress(text)

    def many(self, count):
        return max(8, int(count * self.scale))

    def folder(self, name):
        return self.place / name

    def run(self):
        if not Path(self.binary).exists():
            sys.exit(f"Missing: {self.binary}. Build it with: make build")
        if self.at is None:
            sys.exit("Missing: Orthanc. Install it with: sudo apt-get install -y orthanc orthanc-dicomweb")
        # Not in /tmp, which may be memory: fsync has to cost what it costs.
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="bench-", dir=CACHE) as place:
            self.place = Path(place)
            self.disk = disk(self.place)
            self.trace()
            self.compare()
            self.settle()
            self.pack_while_sending()
        if not self.options.no_inference:
            self.infer()
        self.report()

    def sides(self, trace=False):
        yield servers.hilum(self.binary, self.folder(f"hilum-{trace}"), ROOT / "models", trace)
        yield servers.orthanc(self.at, self.folder(f"orthanc-{trace}"), trace)

    def trace(self):
        """How often each side asks the disk to keep what it was given."""
        if not shutil.which("strace"):
            self.note("strace is not installed, so durability was not traced (apt-get install strace)")
            return
        self.traced = []
        patient, files = self.slices.study(self.folder("traced"), 10)
        for server in self.sides(trace=True):
            try:
                work.c_store(server, files, 1)
            finally:
                server.stop()
            counts = ", ".join(f"{number} {name}" for name, number in sorted(server.counts.items())) or "none"
            self.traced.append(f"{server.name}: {counts}")
            progress(f"traced, 10 instances on one association, start and stop included: {self.traced[-1]}")

    def compare(self):
        started = []
        try:
            for server in self.sides():
                started.append(server)
            preload = options_shim(self.place)
            if preload:
                started.append(servers.orthanc(self.at, self.folder("orthanc-options"), preload=preload))
            self.versions = [started[0].version, started[1].version]
            for server in started[:2]:
                self.table.add("Memory, idle", "MB", "less", server.name, limit.memory(server.pid, "VmRSS"))
            self.sink = limit.NullSink(self.folder("null"), preload)
            started.append(self.sink)
            self.write_rounds(started[:-1])
            self.read_rounds(started[:2])
        finally:
            for server in started:
                server.stop()

    def write_rounds(self, started):
        senders = [("storescu", "storescu")]
        if self.sender:
            senders.append(("dicom-storescu", self.sender))
        else:
            self.note("dicom-storescu is not installed, so dcmtk's storescu is the only sender (`make test-deps` installs it)")
        for number in range(self.rounds):
            for name, sender in senders:
                for associations, count in ((1, 100), (8, 200)):
                    files = self.fresh(number, f"{name}-{associations}", count)
                    title = f"C-STORE, {associations} association{'s' * (associations > 1)}, {name}"
                    for server in self.order(number, started):
                        limit.forget_peak(server.pid)
                        seconds = work.c_store(server, files, associations, sender)
                        self.rate(title, server, len(files), seconds)
                        if associations > 1:
                            peak = limit.memory(server.pid, "VmHWM")
                            self.table.add("Memory, 8 associations sending", "MB", "less", server.name, peak)
                    disk = self.folder("limit")
                    if associations == 1:
                        most = limit.of_one_association(self.sink, disk, files, sender)
                    else:
                        most = limit.of_many(disk, files)
                    self.table.add(title, "instances/s", "more", "limit", most)
            for clients, per_request, count in ((1, 100, 100), (4, 10, 200)):
                files = self.fresh(number, f"stow-{clients}", count)
                title = f"STOW-RS, {clients} client{'s' * (clients > 1)} × {per_request} a request"
                for server in self.order(number, started[:2]):
                    self.rate(title, server, len(files), work.stow(server, files, clients, per_request))
                self.table.add(title, "instances/s", "more", "limit", limit.of_many(self.folder("limit"), files))

    def read_rounds(self, pair):
        patient, files = self.slices.study(self.folder("read"), self.many(100), keep=True)
        _, others = self.slices.study(self.folder("others"), 1, patient=patient, studies=19)
        _, once = self.slices.study(self.folder("once"), self.rounds * self.many(20))
        for server in pair:
            work.stow(server, once, 1, 25)
            work.stow(server, files, 1, 25)
            work.stow(server, others, 1, 19)
        pixels = files[len(files) // 2].data[-2 * images.SIZE**2 :]
        webs = {server.name: work.Plain(server) for server in pair}
        jobs = work.reads(patient, 20, files, pixels)
        time.sleep(5)
        title = "WADO one frame, not asked for before"
        for number in range(self.rounds):
            asked = work.frames(once[number :: self.rounds])
            for server in self.order(number, pair):
                seconds = work.read_each(webs[server.name], asked, len(pixels))
                self.table.add(title, "ms", "less", server.name, 1000 * seconds)
        for name, times, *rest in jobs:
            self.read_job(name, times, rest, pair, webs)
        # Reads what has no Content-Length 8 kB at a time, which is most of what it then takes.
        webs = {server.name: work.Web(server) for server in pair}
        for name, times, *rest in jobs:
            if name.startswith(("WADO retrieve", "WADO one", "WADO rendered")):
                self.read_job(f"{name}, Python's http.client", times, rest, pair, webs, False)

    def read_job(self, name, times, rest, pair, webs, limited=True):
        for server in pair:
            work.read(webs[server.name], 2, *rest)
        source = limit.NullSource(len(webs["Hilum"].get(*rest[:2])[2])) if limited else None
        try:
            if source:
                empty = work.Plain(source)
                work.read(empty, 2, "/", "*/*", len)
            for number in range(self.rounds):
                for server in self.order(number, pair):
                    seconds = work.read(webs[server.name], times, *rest)
                    self.table.add(name, "ms", "less", server.name, 1000 * seconds)
                if source:
                    seconds = work.read(empty, times, "/", "*/*", len)
                    self.table.add(name, "ms", "less", "limit", 1000 * seconds)
        finally:
            if source:
                source.stop()
        progress(f"{name}: done")

    def settle(self):
        """One long series: its metadata, and what it takes on disk beside its images."""
        files = settled.long_series(self, self.folder("long"))
        one = files[0]
        more = settled.long_series(self, self.folder("longer"), settled.MORE)
        for name in ("Hilum", "Orthanc"):
            folder = self.folder(f"settled-{name.lower()}")
            if name == "Hilum":
                server = settled.start(self.binary, folder, ROOT / "models", 1)
            else:
                server = servers.orthanc(self.at, folder)
            try:
                work.stow(server, files, 1, 100)
                if name == "Hilum":
                    settled.wait_until_packed(server, 1)
                else:
                    time.sleep(5)
                rows = [("warm", 3, 40 if name == "Hilum" else 5)]
                if settled.drop_caches():
                    rows.insert(0, ("cold caches", 0, 1))
                for state, before, times in rows:
                    settled.metadata(server, one.study, one.series, before)
                    for milliseconds in settled.metadata(server, one.study, one.series, times):
                        title = f"WADO metadata of a settled series of {settled.SERIES}, {state}"
                        self.table.add(title, "ms", "less", name, milliseconds)
                server = self.at_rest(name, folder, server)
                first = settled.beside(server, files)
            finally:
                server.stop()
            # What an empty server takes is no instance's: it is in the difference of two of them.
            folder = self.folder(f"settled-more-{name.lower()}")
            if name == "Hilum":
                server = settled.start(self.binary, folder, ROOT / "models", 1)
            else:
                server = servers.orthanc(self.at, folder)
            try:
                work.stow(server, files + more, 1, 100)
                if name == "Hilum":
                    settled.wait_until_packed(server, 1)
                else:
                    time.sleep(5)
                server = self.at_rest(name, folder, server)
                each = (settled.beside(server, files + more) - first) / len(more)
                self.table.add("On disk beside the image, per settled instance", "bytes", "less", name, each)
                empty = first - each * len(files)
                self.note(f"Beside that, {name} takes {empty / 1e6:.1f} MB on disk, however little it holds.")
                progress(f"settled series: {name} done")
            finally:
                server.stop()

    def at_rest(self, name, folder, server):
        """The server ended, with nothing left on disk that the next start would take away."""
        server.end()
        if name == "Hilum":
            server = settled.at_rest(self.binary, folder, ROOT / "models", server)
        return server

    def pack_while_sending(self):
        """Intake for a minute, without and with series settling behind it."""
        seconds = 10 if self.options.quick else 60
        per_study = 200
        studies = max(2, seconds * 300 // per_study)
        _, files = self.slices.study(self.folder("minute"), per_study, studies=studies)
        os.sync()
        title = f"C-STORE, 8 associations, for {seconds} s, packing"
        for packing, after in (("off", 86_400), ("on", 1)):
            server = settled.start(self.binary, self.folder(f"minute-{packing}"), ROOT / "models", after)
            try:
                rate, behind = settled.intake(server, files, 8, seconds)
                self.table.add(f"{title} {packing}", "instances/s", "more", "Hilum", rate)
                progress(f"{title} {packing}: {rate:.1f} instances/s")
                if packing == "on":
                    self.note(
                        f"With packing on, {behind[0]:.0f} settled series waited to be packed after {seconds // 2} s, "
                        f"{behind[1]:.0f} after {seconds} s."
                    )
            finally:
                server.stop()

    def order(self, number, started):
        return started if number % 2 == 0 else list(reversed(started))

    def fresh(self, number, name, count):
        _, files = self.slices.study(self.folder(f"{number}-{name}"), self.many(count))
        # The sender's files are in memory and on disk before anything is timed.
        os.sync()
        return files

    def rate(self, title, server, count, seconds):
        self.table.add(title, "instances/s", "more", server.name, count / seconds)
        progress(f"{title}: {server.name} {count / seconds:.1f} instances/s")

    def infer(self):
        threads = os.cpu_count() or 1
        try:
            for number in range(min(self.rounds, 5)):
                for side in self.order(number, ["bare", "hilum"]):
                    if side == "bare":
                        seconds = inference.bare(ROOT / "models", threads)
                        self.table.add("Inference, networks only", "s", "less", "bare ONNX Runtime", seconds)
                    else:
                        seconds, whole = inference.hilum(self.binary, ROOT, threads)
                        self.table.add("Inference, networks only", "s", "less", "Hilum", seconds)
                        self.table.add("Inference, whole run (decoding, steps, SEG and SR)", "s", "less", "Hilum", whole)
                    progress(f"inference, {side}: {seconds:.2f} s in networks, {threads} threads")
            for _ in range(1 if self.options.quick else 3):
                total, model, rest = inference.demo(self.binary, ROOT)
                self.table.add("Last slice to visible result", "s", "less", "Hilum", total)
                self.table.add("Last slice to visible result, less quiet time and model", "s", "less", "Hilum", rest)
                progress(f"last slice to result: {total:.2f} s, of which model {model:.2f} s; the rest without quiet time {rest:.2f} s")
        except (RuntimeError, OSError, subprocess.SubprocessError) as problem:
            self.note(f"inference was not measured: {problem}")

    def report(self):
        columns = ["Hilum", "Orthanc", "Orthanc, socket options", "limit", "bare ONNX Runtime"]
        used = [column for column in columns if any(column in row[2] for row in self.table.rows.values())]
        table = self.table.markdown(used)
        sides = self.table.rows.get("Inference, networks only", ("", "", {}))[2]
        if "Hilum" in sides and "bare ONNX Runtime" in sides:
            ratios = [a / b for a, b in zip(sides["Hilum"], sides["bare ONNX Runtime"])]
            self.notes.append(f"Networks in Hilum against the bare loop: {self.table.spread(ratios)} of the time.")
        notes = "\n".join(f"- {note}" for note in self.notes)
        text = f"""# Benchmarks

Written by `make bench`; measured, not promised. What a million studies cost is in
[benchmarks-scale.md](benchmarks-scale.md). Hilum and Orthanc got the same files in the same run,
one after the other in turns that alternate each round, over loopback, with their defaults for
durability. A load above one before the run says that the machine was shared, and that ratios count
more than figures. Median of {self.rounds} rounds, with minimum and
maximum; ratios are taken round by round.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {machine(self.load)}
- Disk: {self.disk}
- {self.versions[0]} against {self.versions[1]} (SQLite; {'Debian 13 in a folder of its own' if self.at.root != Path('/') else 'installed'})
- Senders: {sender_version()}; slices of 512×512×16 bit, 0.5 MB, of seed {self.options.seed}
- Calls to the disk for 10 instances on one association, start and stop included: {'; '.join(getattr(self, 'traced', ['not traced']))}
{notes}

{table}

"Orthanc, socket options" is Orthanc with TCP_NODELAY and TCP_QUICKACK set by a preloaded library
(`bench/nodelay.c`): what of the difference is the socket's, and what the server's. The limit of one
association is 1 / (time an instance takes to a receiver that keeps nothing + one commit: a file of its
size with fsync of file and folder, and a page of log with fdatasync); of eight, and of STOW-RS, new
files of eight instances with fsync of file and folder. Hilum writes objects past the page cache, which
the limit does not, so that it may come out above it. Where the time of one instance goes is in
[benchmarks-commit.md](benchmarks-commit.md), and where its bytes are in [benchmarks-bytes.md](benchmarks-bytes.md).

Answers are read through one kept connection into one buffer, for both sides alike; the limit is the same
number of bytes from a server that has them ready. Both servers keep in memory what was read lately, and are
asked for the same again, but for the frames that were "not asked for before". In the rows named so, Python's
http.client reads: an answer without Content-Length, as Orthanc's of several parts is, it takes from the socket
8 kB at a time, and a program that reads so waits for that and not for the server.
[benchmarks-reads.md](benchmarks-reads.md) says where the time of a frame goes.
"""
        tell(text, self.options, "benchmarks.md")


def tell(text, options, name):
    """Prints a report, and keeps it in docs unless the run was a quick one."""
    print(text)
    if not options.quick:
        (ROOT / "docs" / name).write_text(text)
        print(f"Written to docs/{name}.")


def run(one):
    """Runs a bench to its end, or says in one line why it did not come there."""
    try:
        one.run()
    except (work.Wrong, RuntimeError, OSError, subprocess.SubprocessError) as problem:
        sys.exit(f"The bench ended early: {problem}")


def progress(text):
    print(f"{datetime.datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def release_binary():
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/hilum"


def options_shim(place):
    target = place / "nodelay.so"
    command = ["cc", "-shared", "-fPIC", "-O1", "-o", str(target), str(ROOT / "bench/nodelay.c"), "-ldl"]
    return target if subprocess.run(command).returncode == 0 else None


def sender_version():
    told = subprocess.run(["storescu", "--version"], capture_output=True, text=True).stdout
    return "dcmtk " + told.split("$dcmtk: storescu ")[-1].split(" ")[0]


def machine(load):
    cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "")
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal")) / 2**20
    return f"{os.cpu_count()} × {cpu or platform.machine()}, {memory:.0f} GiB, Linux {platform.release()}, load before the run {load:.1f}"


def disk(place):
    """Sequential write with one fsync, and small durable writes in a row."""
    block = os.urandom(1 << 20)
    with (place / "disk").open("wb", buffering=0) as file:
        start = time.perf_counter()
        for _ in range(256):
            file.write(block)
        os.fsync(file)
        rate = 256 * len(block) / 1e6 / (time.perf_counter() - start)
        start = time.perf_counter()
        for number in range(300):
            os.pwrite(file.fileno(), block[:4096], 4096 * number)
            os.fdatasync(file)
        small = 300 / (time.perf_counter() - start)
    return f"sequential write {rate:.0f} MB/s, fdatasync of 4 kB {small:.0f}/s"


if __name__ == "__main__":
    Bench(arguments()).run()
