"""Starts and ends the servers that are compared: each in its own folder, on free loopback ports, with
its defaults for durability. Every process is ended by its id."""

import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 60


@dataclass
class Server:
    name: str
    version: str
    dicom_port: int
    http_port: int
    root: str
    ae_title: str
    process: subprocess.Popen
    pid: int
    folders: list
    traced: Path | None = None
    log: Path | None = None
    token: str | None = None
    counts: dict = field(default_factory=dict)

    @property
    def admission(self):
        """The header that says who asks."""
        return {"Authorization": f"Bearer {self.token}"} if self.token else {}

    def end(self):
        """Asks it to finish and waits; its folders stay."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGTERM)
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()

    def stop(self):
        self.end()
        if self.traced and self.traced.exists():
            for line in self.traced.read_text().splitlines():
                found = re.match(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?(f\w*sync)$", line)
                if found:
                    self.counts[found[2]] = int(found[1])
        for folder in self.folders:
            shutil.rmtree(folder, ignore_errors=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def traced(command, folder):
    """The command under strace, counting what makes writes durable."""
    counts = folder / "strace.txt"
    return ["strace", "-f", "-c", "-o", str(counts), "-e", "trace=fsync,fdatasync", *command], counts


def child_of(pid):
    """The one process that strace started."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if children:
            return int(children[0])
        time.sleep(0.01)
    raise RuntimeError("strace started nothing")


def launch(command, folder, trace, environment=None):
    counts = None
    if trace:
        command, counts = traced(command, folder)
    log = folder / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, cwd=folder, env=environment, start_new_session=True
        )
    return process, child_of(process.pid) if trace else process.pid, counts, log


def wait_for(process, ready, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
            if ready():
                return
        time.sleep(0.05)
    raise RuntimeError("the server did not start: " + log.read_text(errors="replace")[-2000:])


def answers(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    connection.request("GET", path)
    return connection.getresponse().status == 200


def hilum(binary, folder, models, trace=False, arguments=()):
    folder.mkdir(parents=True)
    return hilum_at(binary, folder / "data", folder, models, trace, arguments)


def hilum_at(binary, data, folder, models, trace=False, arguments=()):
    """A Hilum over `data`; its log is in `folder`, which goes when it stops."""
    version = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    command = [binary, "serve", "--data", str(data), "--http", "127.0.0.1:0", "--dicom", "127.0.0.1:0", "--models", str(models), *arguments]
    run_file = data / "run.json"
    run_file.unlink(missing_ok=True)
    process, pid, counts, log = launch(command, folder, trace)
    found = {}

    def ready():
        found.update(json.loads(run_file.read_text()))
        return answers(int(found["http"].rsplit(":", 1)[1]), "/readyz")

    wait_for(process, ready, log)
    http_port, dicom_port = (int(found[door].rsplit(":", 1)[1]) for door in ("http", "dicom"))
    return Server("Hilum", version, dicom_port, http_port, "/dicomweb", "HILUM", process, pid, [folder], counts, log, found["operator_token"])


@dataclass
class OrthancAt:
    """An Orthanc to start: the installed one, or that of a Debian tree in a folder."""

    command: list
    version: str
    root: Path = Path("/")


def orthanc_in(root: Path):
    if not (root / "usr/sbin/Orthanc").exists():
        return None
    change = ["chroot"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "chroot"]
    return described([*change, str(root), "/usr/sbin/Orthanc"], root)


def orthanc_installed():
    binary = shutil.which("Orthanc") or "/usr/sbin/Orthanc"
    if not Path(binary).exists():
        return None
    return described([binary], Path("/"))


def described(command, root):
    told = subprocess.run([*command, "--version"], capture_output=True, text=True)
    found = re.search(r"Orthanc (\d[\w.+]*)", told.stdout)
    return OrthancAt(command, found[1], root) if found else None


def orthanc(at: OrthancAt, folder, trace=False, preload=None, database=None):
    """An Orthanc; `database`: the settings of its plugin for PostgreSQL, where its index is to be there."""
    folder.mkdir(parents=True)
    # What Orthanc sees must lie in its own tree; that is where its storage goes.
    own = folder if at.root == Path("/") else Path(tempfile.mkdtemp(prefix="bench-", dir=at.root / "srv"))
    seen = Path("/") / own.relative_to(at.root)
    dicom_port, http_port = free_port(), free_port()
    config = {
        "Name": "bench",
        "StorageDirectory": str(seen / "storage"),
        "IndexDirectory": str(seen / "storage"),
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "DicomAet": "ORTHANC",
        "DicomAlwaysAllowStore": True,
        "DicomCheckCalledAet": False,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    if database:
        config["Plugins"].append("/usr/share/orthanc/plugins/libOrthancPostgreSQLIndex.so")
        config["PostgreSQL"] = database
    (own / "orthanc.json").write_text(json.dumps(config, indent=1))
    environment = dict(os.environ)
    command = [*at.command, str(seen / "orthanc.json")]
    if preload:
        shutil.copy(preload, own)
        command = ["env", f"LD_PRELOAD={seen / preload.name}", *at.command[-1:], *command[len(at.command) :]]
        command = [*at.command[:-1], *command]
    process, pid, counts, log = launch(command, folder, trace, environment)
    wait_for(process, lambda: answers(http_port, "/system"), log)
    # The DIMSE door opens after HTTP's.
    wait_for(process, lambda: socket.create_connection(("127.0.0.1", dicom_port), 1).close() is None, log)
    connection = http.client.HTTPConnection("127.0.0.1", http_port, timeout=10)
    connection.request("GET", "/plugins/dicom-web")
    plugin = json.loads(connection.getresponse().read()).get("Version", "unknown")
    version = f"Orthanc {at.version}, DICOMweb {plugin}"
    name = "Orthanc, socket options" if preload else "Orthanc"
    return Server(name, version, dicom_port, http_port, "/dicom-web", "ORTHANC", process, pid, [folder, own], counts, log)
