"""The pieces of work that are timed. Each gives seconds, having checked that the server did it."""

import http.client
import re
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

BOUNDARY = "hilum-bench-3c1f"
CALLER = "BENCH"


class Wrong(RuntimeError):
    """A server answered something else than was asked for."""


def sent(commands):
    """Runs senders side by side; seconds until the last one ended."""
    start = time.perf_counter()
    running = [
        subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for command in commands
    ]
    ends = [process.communicate(timeout=600)[1] for process in running]
    seconds = time.perf_counter() - start
    for process, said in zip(running, ends):
        if process.returncode != 0:
            raise Wrong(f"a sender failed: {said.strip()[-300:]}")
    return seconds


def shares(instances, count):
    return [instances[part::count] for part in range(count)]


def c_store(server, instances, associations, sender="storescu"):
    commands = []
    for share in shares(instances, associations):
        paths = [str(instance.path) for instance in share]
        if sender == "storescu":
            # -R proposes what the files need, and no more.
            call = ["storescu", "-R", "-aet", CALLER, "-aec", server.ae_title, "127.0.0.1", str(server.dicom_port)]
        else:
            call = [
                sender,
                "--calling-ae-title",
                CALLER,
                "--called-ae-title",
                server.ae_title,
                f"127.0.0.1:{server.dicom_port}",
            ]
        commands.append([*call, *paths])
    return sent(commands)


# A server may end a connection that nobody uses; one that rested so long is made anew.
RESTED_SECONDS = 15


class Web:
    """One kept connection, without Nagle's delay at our end: what a Python program meets."""

    def __init__(self, server):
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=300)
        self.connect()

    def connect(self):
        self.connection.connect()
        self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.used = time.monotonic()

    def wake(self):
        if time.monotonic() - self.used > RESTED_SECONDS:
            self.connection.close()
            self.connect()

    def ask(self, method, path, body=None, headers=None):
        self.wake()
        self.connection.request(method, self.server.root + path, body, {**self.server.admission, **(headers or {})})
        answer = self.connection.getresponse()
        data = answer.read()
        self.used = time.monotonic()
        if answer.status != 200:
            raise Wrong(f"{self.server.name} answered {method} {path} with {answer.status}: {data[:300]}")
        return answer, data

    def get(self, path, accept):
        self.wake()
        start = time.perf_counter()
        answer, data = self.ask("GET", path, headers={"Accept": accept})
        return time.perf_counter() - start, answer, data


class Plain:
    """One kept connection and one buffer: next to nothing of the time is the client's. A new connection
    follows where the server ended the one before."""

    HEAD = 16384

    def __init__(self, server):
        self.server = server
        self.socket = None
        self.used = time.monotonic()
        self.buffer = bytearray(1 << 20)

    def connect(self):
        self.socket = socket.create_connection(("127.0.0.1", self.server.http_port), timeout=300)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def close(self):
        self.socket.close()
        self.socket = None

    def more(self, filled):
        """Reads what is there; 0 when nothing follows."""
        if filled == len(self.buffer):
            self.buffer.extend(bytes(len(self.buffer)))
        with memoryview(self.buffer) as view:
            return self.socket.recv_into(view[filled:])

    def begun(self, request):
        """Sends it and reads the beginning of the answer; 0 when there is none."""
        if self.socket is None:
            self.connect()
        try:
            self.socket.sendall(request)
            return self.more(0)
        except ConnectionError:
            return 0

    def get(self, path, accept):
        host = f"127.0.0.1:{self.server.http_port}"
        headers = {"Host": host, "Accept": accept, **self.server.admission}
        lines = [f"GET {self.server.root}{path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
        request = "\r\n".join([*lines, "", ""]).encode()
        if self.socket is not None and time.monotonic() - self.used > RESTED_SECONDS:
            self.close()
        is_kept = self.socket is not None
        start = time.perf_counter()
        filled = self.begun(request)
        if not filled and is_kept:
            # The server ended what rested: Orthanc does after a second.
            self.close()
            start = time.perf_counter()
            filled = self.begun(request)
        while (end := self.buffer.find(b"\r\n\r\n", 0, min(filled, self.HEAD))) < 0:
            read = self.more(filled) if filled < self.HEAD else 0
            if not read:
                raise Wrong(f"{self.server.name} gave no answer")
            filled += read
        head = bytes(self.buffer[:end]).lower()
        if not head.startswith(b"http/1.1 200"):
            raise Wrong(f"{self.server.name} answered GET {path} with {head[:40]}")
        body = end + 4
        told = re.search(rb"\r\ncontent-length: *(\d+)", head)
        chunked = b"\r\ntransfer-encoding: chunked" in head
        whole = body + int(told[1]) if told else None
        while filled != whole and not (chunked and self.buffer[filled - 7 : filled] == b"\r\n0\r\n\r\n"):
            read = self.more(filled)
            if not read and whole is None and not chunked:
                self.close()
                break
            if not read:
                raise Wrong(f"{self.server.name} broke off")
            filled += read
        seconds = time.perf_counter() - start
        self.used = time.monotonic()
        if self.socket is not None and b"\r\nconnection: close" in head:
            self.close()
        data = bytes(self.buffer[body:filled])
        return seconds, head, joined(data) if chunked else data


def joined(chunks):
    """The bytes of a chunked body."""
    data, at = [], 0
    while size := int(chunks[at : (line := chunks.index(b"\r\n", at))].split(b";")[0], 16):
        data.append(chunks[line + 2 : line + 2 + size])
        at = line + 4 + size
    return b"".join(data)


def stow_body(instances):
    part = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
    data = b"".join(part + instance.path.read_bytes() + b"\r\n" for instance in instances)
    return data + f"--{BOUNDARY}--\r\n".encode()


STOW = {
    "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
    "Accept": "application/dicom+json",
}


def stow(server, instances, clients, per_request):
    """Every client posts its share, so many instances a request."""
    work = []
    for share in shares(instances, clients):
        requests = [share[at : at + per_request] for at in range(0, len(share), per_request)]
        work.append((Web(server), [stow_body(request) for request in requests]))
    problems = []

    def post(web, bodies):
        try:
            for body in bodies:
                _, data = web.ask("POST", "/studies", body, STOW)
                if b"00081198" in data and re.search(rb'"00081198"[^]]*"Value"', data):
                    raise Wrong("an instance was not stored")
        except Exception as problem:
            problems.append(problem)

    threads = [threading.Thread(target=post, args=each) for each in work]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if problems:
        raise problems[0]
    return seconds


def count(data):
    import json

    return len(json.loads(data))


def reads(patient, studies, instances, pixels):
    """(name, times per round, path, accept, check): what is read of the prepared study."""
    one = instances[len(instances) // 2]
    study = f"/studies/{one.study}"
    instance = f"{study}/series/{one.series}/instances/{one.uid}"
    size = len(instances)
    return [
        (
            f"QIDO studies by PatientID ({studies} studies)",
            20,
            f"/studies?PatientID={patient}",
            "application/dicom+json",
            lambda data: count(data) == studies,
        ),
        (
            f"QIDO instances of a study ({size})",
            8,
            f"{study}/instances",
            "application/dicom+json",
            lambda data: count(data) == size,
        ),
        (
            f"WADO metadata ({size} instances)",
            8,
            f"{study}/metadata",
            "application/dicom+json",
            lambda data: count(data) == size,
        ),
        (
            f"WADO retrieve a study ({size * len(pixels) / 1e6:.0f} MB)",
            4,
            study,
            'multipart/related; type="application/dicom"; transfer-syntax=*',
            lambda data: data.count(b"DICM") >= size and pixels in data,
        ),
        (
            "WADO one frame",
            20,
            f"{instance}/frames/1",
            'multipart/related; type="application/octet-stream"',
            lambda data: pixels in data,
        ),
        (
            "WADO rendered, JPEG",
            10,
            f"{instance}/rendered",
            "image/jpeg",
            lambda data: data[:2] == b"\xff\xd8",
        ),
    ]


def frames(instances):
    """Each one's only frame: (path, accept)."""
    kind = 'multipart/related; type="application/octet-stream"'
    return [
        (f"/studies/{one.study}/series/{one.series}/instances/{one.uid}/frames/1", kind) for one in instances
    ]


def read_each(web, asked, size):
    """Median seconds of requests for frames of `size` bytes, each made once."""
    taken = []
    for path, accept in asked:
        seconds, _, data = web.get(path, accept)
        if len(data) < size:
            raise Wrong(f"{web.server.name} did not give what was asked for: {path} ({len(data)} bytes)")
        taken.append(seconds)
    return sorted(taken)[len(taken) // 2]


def read(web, times, path, accept, check):
    """Median seconds of so many requests."""
    taken = []
    for _ in range(times):
        seconds, _, data = web.get(path, accept)
        if not check(data):
            raise Wrong(f"{web.server.name} did not give what was asked for: {path} ({len(data)} bytes)")
        taken.append(seconds)
    return sorted(taken)[len(taken) // 2]


def other_sender(cache: Path):
    """dicom-storescu, a second sender, where it is installed."""
    return shutil.which("dicom-storescu") or next(map(str, cache.glob("cargo/bin/dicom-storescu")), None)
