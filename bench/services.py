"""What it costs that services run apart: Hilum in one process beside the same binary in six, asked at the door
of who answers and at that of another process; and what a second Imaging brings: one that stands by, and one of
a second shard. Prints tables and writes docs/benchmarks-services.md."""

import argparse
import contextlib
import datetime
import http.client
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode

import audit
import bench
import engines
import images
import limit
import servers
import work

SERVICES = ["imaging", "identity", "patients", "inference", "integration", "audit"]
ONE, AT_ITS_DOOR, PASSED_ON = "one process", "six, at Imaging's door", "six, passed on"
PUT_MS = 50
ALONE, WITH_SPARE, SHARDS = "one Imaging", "and one that stands by", "two shards, one each"
JSON = "application/json"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", action="store_true", required=True)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="two rounds, and no docs/benchmarks-services.md")
    return parser.parse_args()


class Process:
    """One `hilum serve` of some services, with what its run file tells once it is ready."""

    def __init__(self, binary, folder, config, *more):
        folder.mkdir(parents=True, exist_ok=True)
        self.folders, self.data = [folder], folder / "data"
        command = [binary, "serve", "--config", str(config), "--data", str(self.data), "--models", str(bench.ROOT / "models")]
        (self.data / "run.json").unlink(missing_ok=True)
        self.process, self.pid, _, self.log = servers.launch([*command, "--http", "127.0.0.1:0", *more], folder, False)

    def told(self):
        found = {}

        def ready():
            found.update(json.loads((self.data / "run.json").read_text()))
            return servers.answers(int(found["http"].rsplit(":", 1)[1]), "/readyz")

        servers.wait_for(self.process, ready, self.log)
        return found

    def server(self, name):
        """It as one that work is given to."""
        told = self.told()
        port = {door: int(told[door].rsplit(":", 1)[1]) for door in ("http", "dicom") if told.get(door)}
        return servers.Server(
            name, "", port.get("dicom"), port["http"], "/dicomweb", "HILUM", self.process, self.pid, self.folders, log=self.log
        )


def neighbours(authority, at):
    """The section of a configuration; `at`: {service: port}."""
    lines = "".join(f'at.{service} = "https://127.0.0.1:{port}"\n' for service, port in at.items())
    return "[neighbours]\nlisten = \"127.0.0.1:0\"\n" + authority.setting.replace(", ", "\n") + "\n" + lines


def copy_key(of, to):
    """Whoever shares a bucket shares the master key."""
    (to / "data/keys").mkdir(parents=True)
    shutil.copy(of / "data/keys/master.key", to / "data/keys/master.key")


class Apart:
    """Each service in a process of its own, with files of its own, and a RabbitMQ between."""

    def __init__(self, binary, place):
        self.broker = engines.RabbitMq(place)
        self.processes = {}
        try:
            at = {service: servers.free_port() for service in SERVICES}
            config = place / "apart.toml"
            config.write_text(f"[bus]\n{self.broker.setting}\n{neighbours(engines.Authority(place), at)}")
            for service in SERVICES:
                more = ["--services", service, "--neighbours", f"127.0.0.1:{at[service]}", "--dicom", "127.0.0.1:0"]
                self.processes[service] = Process(binary, place / service, config, *more)
            self.door = self.processes["imaging"].server(AT_ITS_DOOR)
            self.other = self.processes["patients"].server(PASSED_ON)
            self.other.dicom_port = self.door.dicom_port
        except BaseException:
            self.stop()
            raise

    @property
    def pids(self):
        return [process.pid for process in self.processes.values()]

    def stop(self):
        for service, process in self.processes.items():
            process.server(service).end()
        self.broker.stop()


class Services:
    def __init__(self, options):
        self.rounds = 2 if options.quick else options.rounds
        self.options = options
        self.binary = options.hilum or str(bench.release_binary())
        self.table, self.imagings, self.moving = bench.Table(), bench.Table(), bench.Table()
        self.images = 0
        self.slices = images.Slices(20260105)
        self.load = os.getloadavg()[0]

    def run(self):
        bench.CACHE.mkdir(exist_ok=True)
        # Not in /tmp, which may be memory: fsync has to cost what it costs.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.CACHE) as place:
            self.place = Path(place)
            self.disk = bench.disk(self.place)
            self.split()
            self.two_imagings()
        self.report()

    def split(self):
        one = servers.hilum(self.binary, self.place / "one", bench.ROOT / "models")
        with contextlib.ExitStack() as started:
            started.callback(one.stop)
            apart = Apart(self.binary, self.place / "apart")
            started.callback(apart.stop)
            one.name = ONE
            one.token = audit.key_of(self.binary, one, "integration")
            apart.door.token = apart.other.token = audit.key_of(self.binary, apart.processes["identity"], "integration")
            sides = [one, apart.door, apart.other]
            time.sleep(10)
            for side, pids in ((one, [one.pid]), (apart.door, apart.pids)):
                memory = sum(limit.memory(pid, "VmRSS") for pid in pids)
                self.table.add("Memory, idle, of all processes", "MB", "less", side.name, memory)
            self.intake(sides)
            self.questions(sides)
            self.events(sides)

    def order(self, number, sides):
        return sides if number % 2 == 0 else list(reversed(sides))

    def intake(self, sides):
        for number in range(self.rounds):
            _, files = self.slices.study(self.place / f"{number}-store", 200)
            os.sync()
            for side in self.order(number, sides[:2]):
                seconds = work.c_store(side, files, 8)
                self.table.add("C-STORE, 8 associations", "instances/s", "more", side.name, len(files) / seconds)
            for side in self.order(number, sides):
                # The third is of the same installation as the second: it gets what is new there too.
                _, own = self.slices.study(self.place / f"{number}-{side.http_port}", 100)
                os.sync()
                seconds = work.stow(side, own, 1, 50)
                self.table.add("STOW-RS, 1 client × 50 a request", "instances/s", "more", side.name, len(own) / seconds)
            for one in files:
                one.path.unlink()
            bench.progress(f"intake, round {number + 1} of {self.rounds}")

    def questions(self, sides):
        patient, files = self.slices.study(self.place / "read", 100, keep=True)
        _, others = self.slices.study(self.place / "others", 1, patient=patient, studies=19)
        for side in sides[:2]:
            work.stow(side, files, 1, 25)
            work.stow(side, others, 1, 19)
        pixels = files[len(files) // 2].data[-2 * images.SIZE**2 :]
        time.sleep(5)
        jobs = [job for job in work.reads(patient, 20, files, pixels) if "rendered" not in job[0]]
        for name, times, *rest in jobs:
            self.asked(name, sides, lambda web: work.read(web, times, *rest))
        for name, path in (
            ("Worklist, 50 studies", "/studies?limit=50"),
            ("Patients, by name", "/patients?" + urlencode({"q": "BENCH"})),
            ("Status of all services", "/status"),
            ("Runs of a study", f"/runs?study_uid={files[0].study}"),
        ):
            self.asked(f"API: {name}", sides, lambda web: self.answered(web, path))

    def asked(self, name, sides, seconds_of):
        webs = {side.name: work.Plain(side) for side in sides}
        for web in webs.values():
            seconds_of(web)
        for number in range(self.rounds):
            for side in self.order(number, sides):
                self.table.add(name, "ms", "less", side.name, 1000 * seconds_of(webs[side.name]))
        bench.progress(f"{name}: done")

    def answered(self, web, path, times=20):
        root, web.server.root = web.server.root, "/api/v1"
        try:
            return sorted(web.get(path, JSON)[0] for _ in range(times))[times // 2]
        finally:
            web.server.root = root

    def events(self, sides):
        """From an image's acknowledgement until the page of patients, another service's, shows its patient."""
        for number in range(self.rounds):
            for side in self.order(number, sides[:2]):
                taken = []
                for nth in range(5):
                    patient, files = self.slices.study(self.place / f"event-{side.http_port}-{number}-{nth}", 1)
                    work.stow(side, files, 1, 1)
                    taken.append(self.shown(side, patient))
                title = "From acknowledgement to the patient in Patients"
                self.table.add(title, "ms", "less", side.name, 1000 * sorted(taken)[len(taken) // 2])
        bench.progress("events: done")

    def shown(self, side, patient):
        connection = http.client.HTTPConnection("127.0.0.1", side.http_port, timeout=30)
        start = time.perf_counter()
        while time.perf_counter() - start < 30:
            connection.request("GET", "/api/v1/patients?" + urlencode({"q": patient}), headers=side.admission)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                raise work.Wrong(f"{side.name} answered {answer.status}: {told[:200]}")
            if patient.encode() in told:
                return time.perf_counter() - start
            time.sleep(0.002)
        raise work.Wrong(f"{side.name} did not show a patient")

    # Two processes of Imaging, on PostgreSQL and a bucket: nothing of theirs is in files.

    def two_imagings(self):
        with contextlib.ExitStack() as started:
            bucket = engines.Bucket(self.place, PUT_MS)
            started.callback(bucket.stop)
            # Four installations at once.
            postgres = engines.Postgres(self.place, "-c", "max_connections=400")
            started.callback(postgres.stop)
            self.postgres = postgres.version
            authority = engines.Authority(self.place)
            sides = {}
            for name in (ALONE, WITH_SPARE):
                sides[name] = self.on_one_archive(started, bucket, postgres, name, 1 + (name == WITH_SPARE))
            sides[SHARDS] = self.on_two_shards(started, bucket, postgres, authority)
            for number in range(self.rounds):
                for associations, count in ((2, 40), (16, 240)):
                    _, files = self.slices.study(self.place / f"both-{number}-{associations}", count)
                    os.sync()
                    for name in self.order(number, list(sides)):
                        seconds = self.to_both(sides[name], files, associations // 2)
                        title = f"C-STORE, {associations // 2} association{'s' * (associations > 2)} for each of two tenants"
                        self.imagings.add(title, "instances/s", "more", name, len(files) / seconds)
                    self.images += len(files) // 2
                    for one in files:
                        one.path.unlink()
                bench.progress(f"two Imagings, round {number + 1} of {self.rounds}")
            self.moves()

    def moves(self):
        """Tenant b, with all that it has got by now, to the first shard and back."""
        for number in range(self.rounds):
            for to in ("main", "north"):
                start = time.perf_counter()
                told = self.moved(to)
                self.moving.add("The whole move", "s", "less", "measured", time.perf_counter() - start)
                self.moving.add("Without changes", "s", "less", "measured", told["seconds_held"])
                self.moving.add("Rows carried", "", "more", "measured", told["rows"])
            bench.progress(f"moves, round {number + 1} of {self.rounds}")

    def moved(self, to):
        of_main = ["--data", str(self.place / "shard-main/data"), "--config", str(self.place / "shard-main.toml")]
        command = [self.binary, "tenants", "move", "b", "--to", to, "--json", *of_main]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])

    def tenants(self):
        return 'tenants = [{ name = "a", ae_title = "HILUM_A" }, { name = "b", ae_title = "HILUM_B" }]\n'

    def on_one_archive(self, started, bucket, postgres, name, processes):
        called = name.replace(" ", "-")
        config = self.place / f"{called}.toml"
        config.write_text(self.tenants() + postgres.settings(called) + bucket.settings(called))
        running = []
        for nth in range(processes):
            folder = self.place / f"{called}-{nth}"
            if running:
                # One master key for both.
                copy_key(running[0].folders[0], folder)
            process = Process(self.binary, folder, config, "--dicom", "127.0.0.1:0")
            if running:
                # It is not ready as long as the other one lives.
                started.callback(process.process.wait)
                started.callback(process.process.kill)
                continue
            running.append(process.server(name))
            started.callback(running[0].end)
        return {"HILUM_A": running[0].dicom_port, "HILUM_B": running[0].dicom_port}

    def on_two_shards(self, started, bucket, postgres, authority):
        of_shard = [service for service in SERVICES if service != "identity"]
        doors = {"main": servers.free_port(), "north": servers.free_port()}
        database = {}
        for number, name in enumerate(doors):
            lines = postgres.settings(f"shard-{name}").splitlines()[1:]
            database[name] = f"{{ {', '.join(lines)}, shard_number = {number} }}"
        shards = ""
        for name, port in doors.items():
            shards += f"[shards.{name}]\ndatabase = {database[name]}\n"
            shards += "".join(f'at.{service} = "https://127.0.0.1:{port}"\n' for service in of_shard)
            shards += f'at.identity = "https://127.0.0.1:{port}"\n' if name == "main" else ""
        servers_of, ports = {}, {}
        for name, port in doors.items():
            config = self.place / f"shard-{name}.toml"
            head = f"database = {database[name]}\n"
            at = {}
            if name != "main":
                head += f'shard = {{ name = "{name}" }}\nservices = {json.dumps(of_shard)}\n'
                at["identity"] = doors["main"]
            config.write_text(head + self.tenants() + bucket.settings("shards") + neighbours(authority, at) + shards)
            folder = self.place / f"shard-{name}"
            if name != "main":
                copy_key(self.place / "shard-main", folder)
            process = Process(self.binary, folder, config, "--dicom", "127.0.0.1:0", "--neighbours", f"127.0.0.1:{port}")
            servers_of[name] = process.server(name)
            started.callback(servers_of[name].end)
            ports[name] = servers_of[name].dicom_port
        self.moved("north")
        return {"HILUM_A": ports["main"], "HILUM_B": ports["north"]}

    def to_both(self, ports, files, associations):
        """Half of the files to each tenant at the same time; seconds until all are there."""
        halves, problems = (files[::2], files[1::2]), []

        def send(title, half):
            at = servers.Server(title, "", ports[title], 0, "", title, None, 0, [])
            try:
                work.c_store(at, half, associations)
            except Exception as problem:
                problems.append(problem)

        threads = [threading.Thread(target=send, args=each) for each in zip(ports, halves)]
        start = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]
        return time.perf_counter() - start

    def rows(self, table, names, first):
        others = [name for name in names if name != first]
        ratios = [f"{name} / {first}" for name in others]
        lines = [f"| work | unit | {' | '.join([*names, *ratios])} |", "|---|---" + "|---" * len([*names, *ratios]) + "|"]
        for title, (unit, _, sides) in table.rows.items():
            cells = [table.spread(sides[name]) if name in sides else "" for name in names]
            for name in others:
                ratio = [a / b for a, b in zip(sides.get(name, []), sides[first])]
                cells.append(f"**{table.spread(ratio)}**" if ratio else "")
            lines.append(f"| {title} | {unit} | {' | '.join(cells)} |")
        return "\n".join(lines)

    def report(self):
        text = f"""# What it costs that services run apart

Written by `make bench ARGS=--services`; measured, not promised. All sides shared two cores and got the same work
in turns whose order alternates each round. Median of {self.rounds} rounds, with minimum and maximum; a ratio is
taken round by round: of instances a second more is better, of milliseconds less.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {bench.machine(self.load)}
- Disk: {self.disk}

## One process and six

The same binary with every service in one process, and with each in a process of its own: mutual TLS between
them, and a RabbitMQ; both with SQLite and files. *Passed on* is asked at the door of Patients, which passes on
what others answer: a hop. Whoever asks shows an API key of Identity.

{self.rows(self.table, [ONE, AT_ITS_DOOR, PASSED_ON], ONE)}

## A second Imaging

On PostgreSQL {self.postgres} and npm's s3rver, which answers each PUT {PUT_MS} ms after it has the object. Two
tenants get images at the same time: both from one process; from one while another one stands by; each from the
process of its shard. One process has an archive at a time: the one that stands by is for its end
([ADR 23](adr/0023-the-index-on-postgresql.md)), and more of them are shards ([ADR 31](adr/0031-shards.md)).

{self.rows(self.imagings, [ALONE, WITH_SPARE, SHARDS], ALONE)}

## A tenant that moves

The second tenant, with the {self.images} images that it got above, to the other shard and back, {self.rounds} times.
While it takes no changes, whoever reads waits for an answer, and is refused none.

{self.rows(self.moving, ["measured"], "measured")}
"""
        bench.tell(text, self.options, "benchmarks-services.md")


if __name__ == "__main__":
    bench.run(Services(arguments()))
