"""What traces cost: Hilum that sends every trace to a collector beside the same binary that sends none.
Prints a table and writes docs/benchmarks-traces.md."""

import argparse
import datetime
import http.server
import tempfile
import threading
from pathlib import Path

import audit
import bench
import images
import servers
import work

WITH, WITHOUT = "traces", "no traces"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--traces", action="store_true", required=True)
    parser.add_argument("--hilum", default=None, help="the binary [default: the release build]")
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--quick", action="store_true", help="two rounds, and no docs/benchmarks-traces.md")
    return parser.parse_args()


class Collector(http.server.ThreadingHTTPServer):
    """Takes what is sent and forgets it: what a collector does with it is not Hilum's cost."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Taking)
        self.bytes = 0
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Taking(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.bytes += len(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Traces(audit.Cost):
    names = (WITH, WITHOUT)
    costs = "their share"

    def __init__(self, options):
        super().__init__(options)
        self.slices = images.Slices(20260103)

    def run(self):
        binary = self.options.hilum or str(bench.release_binary())
        bench.CACHE.mkdir(exist_ok=True)
        collector = Collector()
        # Not in /tmp, which may be memory: fsync has to cost what it costs.
        with tempfile.TemporaryDirectory(prefix="bench-", dir=bench.CACHE) as place:
            self.place = Path(place)
            self.disk = bench.disk(self.place)
            told = self.place / "hilum.toml"
            told.write_text(f'[telemetry]\notlp = "http://127.0.0.1:{collector.server_port}"\n')
            pair = []
            try:
                for name, more in ((WITH, ["--config", str(told)]), (WITHOUT, [])):
                    server = servers.hilum(binary, self.place / name.replace(" ", "-"), bench.ROOT / "models", arguments=more)
                    server.name = name
                    pair.append(server)
                self.intake(pair)
                self.questions(pair)
            finally:
                for server in pair:
                    server.stop()
        if collector.bytes == 0:
            raise work.Wrong("no trace came")
        self.report()

    def report(self):
        text = f"""# What traces cost

Written by `make bench ARGS=--traces`; measured, not promised. Hilum that sends every trace (`share` is 1) to a
collector on this machine, which takes and forgets it, is beside the same binary without `[telemetry]`. Both
got the same files and questions in turns that alternate each round. Median of {self.rounds} rounds, with
minimum and maximum; the share is taken round by round: of intake, how much longer the same work takes; of a
question, how much later its answer comes.

- Date: {datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M} UTC
- Machine: {bench.machine(self.load)}
- Disk: {self.disk}

{self.markdown()}
"""
        bench.tell(text, self.options, "benchmarks-traces.md")


if __name__ == "__main__":
    bench.run(Traces(arguments()))
