"""What settling costs and gives: intake while series are packed, the metadata of a long series from its
pack, and what everything but the images takes on disk."""

import http.client
import os
import re
import time
from pathlib import Path

import databases
import images
import servers
import work

SERIES = 1000
# Series of that length, by which a second server holds more.
MORE = 9
# Small images: what is measured here does not depend on their size.
SMALL = 64
PACKED_WITHIN = 300
# Starts until a sweep finds nothing; less than so many bytes are a log's.
SWEEPS = 40
SWEPT = 4096


def start(binary, folder, models, settle_seconds):
    """A Hilum whose series settle so many seconds after their last image."""
    folder.mkdir(parents=True)
    config = folder / "hilum.toml"
    config.write_text(f"archive.settle_seconds = {settle_seconds}\n")
    return servers.hilum(binary, folder / "run", models, arguments=["--config", str(config)])


def start_again(binary, folder, models, ended):
    """The same data, served once more."""
    again = servers.hilum_at(binary, folder / "run/data", folder / "run", models)
    again.folders = ended.folders
    return again


def at_rest(binary, folder, models, ended):
    """The same data, ended once more with nothing left that the next start would take away: what packs
    replaced goes with the sweep after a start."""
    for _ in range(SWEEPS):
        before = used(ended.folders)
        ended = start_again(binary, folder, models, ended)
        time.sleep(5)
        ended.end()
        if before - used(ended.folders) < SWEPT:
            return ended
    raise work.Wrong("what packs replaced was not swept in time")


def metric(server, name):
    connection = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=30)
    connection.request("GET", "/metrics", headers=server.admission)
    text = connection.getresponse().read().decode()
    values = re.findall(rf"^{name}(?:{{[^}}]*}})? ([\d.e+-]+)$", text, re.MULTILINE)
    return sum(map(float, values)) if values else None


def backlog(server):
    return metric(server, "archive_pack_backlog_series")


def wait_until_packed(server, settle_seconds):
    """Two looks of the packer after everything has settled."""
    time.sleep(settle_seconds + 12)
    end = time.monotonic() + PACKED_WITHIN
    while time.monotonic() < end:
        if backlog(server) == 0:
            return
        time.sleep(1)
    raise work.Wrong("the series were not packed in time")


def used(folders):
    """Bytes of every file below, without the pages that a database holds free for what comes next."""
    total = 0
    for path in (path for folder in folders for path in Path(folder).rglob("*") if path.is_file()):
        total += path.stat().st_size
        if databases.is_one(path):
            total -= databases.asked(path, databases.free_bytes)
    return total


def drop_caches():
    """As root; says whether it could."""
    os.sync()
    try:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def metadata(server, study, series, times):
    """Milliseconds of each request for the metadata of one series, one after the other."""
    web = work.Web(server)
    path = f"/studies/{study}/series/{series}/metadata"
    taken = []
    for _ in range(times):
        seconds, _, data = web.get(path, "application/dicom+json")
        if work.count(data) != SERIES:
            raise work.Wrong("not all of the series came")
        taken.append(1000 * seconds)
    return taken


def long_series(bench, folder, count=1):
    """Files of long series; the slices module writes studies of one series."""
    small = images.Slices(bench.options.seed + count, SMALL)
    _, files = small.study(folder, SERIES, studies=count)
    return files


def beside(server, files):
    """Bytes on disk that are not these files' data sets: preamble and file meta information can be made
    anew, so who keeps them pays for them."""
    return used(server.folders) - sum(data_set(file.path) for file in files)


def data_set(path):
    """Bytes of a file behind its preamble and file meta information (PS3.10 section 7.1)."""
    with path.open("rb") as file:
        file.seek(132 + 8)
        length = int.from_bytes(file.read(4), "little")
        return path.stat().st_size - file.tell() - length


def intake(server, files, associations, seconds):
    """Instances a second for so long, each association sending study after study; and how many settled
    series waited to be packed after half of the time and at its end."""
    studies = {}
    for file in files:
        studies.setdefault(file.study, []).append(file)
    batches = list(studies.values())
    start, sent, halfway = time.perf_counter(), 0, None
    while time.perf_counter() - start < seconds and batches:
        batch = batches.pop()
        work.c_store(server, batch, associations)
        sent += len(batch)
        if halfway is None and time.perf_counter() - start >= seconds / 2:
            halfway = backlog(server)
    return sent / (time.perf_counter() - start), (halfway or 0, backlog(server) or 0)
