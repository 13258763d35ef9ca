"""What disk and network allow at most, measured in the same run as the servers: a receiver that keeps
nothing, and files of a bundle's size that are made durable one after the other."""

import contextlib
import os
import socket
import subprocess
import sys
import time

import servers
import work


def durable(folder, data):
    """Seconds until a new file and its name are durable."""
    start = time.perf_counter()
    path = folder / f"{time.perf_counter_ns():x}"
    with path.open("xb", buffering=0) as file:
        file.write(data)
        os.fsync(file)
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    return time.perf_counter() - start


def barrier(folder, size, times=20):
    """Median seconds of one commit: an object of `size` bytes, and a page of the index's log."""
    folder.mkdir(parents=True, exist_ok=True)
    data, page = os.urandom(size), os.urandom(4096)
    taken = []
    with (folder / "log").open("ab", buffering=0) as log:
        for _ in range(times):
            seconds = durable(folder, data)
            start = time.perf_counter()
            log.write(page)
            os.fdatasync(log)
            taken.append(seconds + time.perf_counter() - start)
    return sorted(taken)[len(taken) // 2]


class NullSink:
    """dcmtk's storescp that ignores what it is sent, behind the same socket options as Hilum."""

    ae_title = "NULL"

    def __init__(self, folder, preload):
        folder.mkdir(parents=True, exist_ok=True)
        self.dicom_port = servers.free_port()
        environment = dict(os.environ, **({"LD_PRELOAD": str(preload)} if preload else {}))
        command = ["storescp", "--ignore", "+xa", "--fork", str(self.dicom_port)]
        self.process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + servers.START_SECONDS
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.dicom_port), 1):
                return
            time.sleep(0.05)
        raise RuntimeError("storescp did not start")

    def seconds(self, instances, associations, sender):
        return work.c_store(self, instances, associations, sender)

    def stop(self):
        self.process.terminate()
        self.process.wait()


class NullSource:
    """A server that has its answer ready: what sending and taking so many bytes costs."""

    name = "limit"
    root = ""
    admission = {}
    PROGRAM = """
import socket, sys
body = bytes(int(sys.argv[1]))
head = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(body)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
while True:
    asking, _ = listener.accept()
    asking.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    while asking.recv(4096):
        asking.sendall(head)
        asking.sendall(body)
"""

    def __init__(self, size):
        self.process = subprocess.Popen([sys.executable, "-c", self.PROGRAM, str(size)], stdout=subprocess.PIPE)
        self.http_port = int(self.process.stdout.readline())

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


def of_one_association(sink, folder, instances, sender):
    """Instances a second when each waits for the network and one commit."""
    size = instances[0].path.stat().st_size
    return 1 / (sink.seconds(instances, 1, sender) / len(instances) + barrier(folder, size))


def of_many(folder, instances, bundle=8):
    """Instances a second that the disk keeps in new files of `bundle` instances each."""
    folder.mkdir(parents=True, exist_ok=True)
    size = instances[0].path.stat().st_size
    data = os.urandom(size * bundle)
    files = max(4, len(instances) // bundle)
    return files * bundle / sum(durable(folder, data) for _ in range(files))


def memory(pid, field):
    """Megabytes of a process: VmRSS now, VmHWM at its highest since `forget_peak`."""
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field + ":")) / 1024


def forget_peak(pid):
    with open(f"/proc/{pid}/clear_refs", "w") as refs:
        refs.write("5")
