"""What Hilum's services stand on, each private to a run, on free loopback ports: a bucket, a PostgreSQL, a
RabbitMQ, and an authority for the certificates of neighbours."""

import contextlib
import os
import socket
import subprocess
import time
from pathlib import Path

import bench
import servers

NOBODY = 65534


def listens(port):
    end = time.monotonic() + servers.START_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"nobody listens on port {port}")


class Bucket:
    """npm's s3rver, which answers each PUT after a while. It ends with its input."""

    def __init__(self, place, put_ms):
        self.port = servers.free_port()
        script = bench.ROOT / "crates/testkit/node/s3.mjs"
        command = ["node", "--openssl-legacy-provider", script, bench.CACHE / "s3rver", str(self.port), place / "buckets", "hilum", str(put_ms)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        listens(self.port)
        self.secret = place / "secret"
        self.secret.write_text("S3RVER")

    def settings(self, name):
        return (
            f'[objects]\nbucket = "hilum"\nprefix = "{name}"\nendpoint = "http://127.0.0.1:{self.port}"\n'
            f'access_key_id = "S3RVER"\nsecret_access_key_file = "{self.secret}"\n'
        )

    def stop(self):
        self.process.stdin.close()
        self.process.wait()


class Postgres:
    """A PostgreSQL with its own defaults, which are those of durability, but for `settings`. It does not start as root."""

    def __init__(self, place, *settings):
        self.programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        self.port = servers.free_port()
        self.folder = place / "postgres"
        self.folder.mkdir()
        self.place = place
        for folder in (self.folder, *self.folder.parents):
            if folder == self.folder and os.geteuid() == 0:
                os.chown(folder, NOBODY, NOBODY)
            elif folder.is_relative_to(bench.CACHE):
                folder.chmod(folder.stat().st_mode | 0o011)
        data = self.folder / "data"
        self.done("initdb", "-A", "trust", "-U", "postgres", "-E", "UTF8", "-D", data)
        log = (place / "postgres.log").open("wb")
        self.process = subprocess.Popen(
            self.command("postgres", "-D", data, "-p", self.port, "-c", "listen_addresses=127.0.0.1", "-k", "", *settings),
            stderr=log,
        )
        listens(self.port)
        for role in ("hilum_owner", "hilum", "orthanc"):
            self.sql(f"CREATE ROLE {role} LOGIN")
        told = subprocess.run([self.programs / "postgres", "--version"], capture_output=True, text=True, check=True)
        self.version = told.stdout.split()[2]

    def command(self, program, *arguments):
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []
        return [*user, self.programs / program, *map(str, arguments)]

    def done(self, program, *arguments):
        subprocess.run(self.command(program, *arguments), check=True, capture_output=True, cwd="/")

    def sql(self, text):
        self.done("psql", "-h", "127.0.0.1", "-p", self.port, "-U", "postgres", "-c", text)

    def settings(self, name):
        """Of a database of its own."""
        self.sql(f'CREATE DATABASE "{name}" OWNER hilum_owner')
        files = []
        for role in ("hilum", "hilum_owner"):
            file = self.place / f"{name}.{role}"
            file.write_text(f"postgres://{role}@127.0.0.1:{self.port}/{name}?sslmode=disable")
            files.append(file)
        return f'[database]\nurl_file = "{files[0]}"\nowner_url_file = "{files[1]}"\n'

    def of_orthanc(self):
        """Where Orthanc's plugin has its index, with its own defaults otherwise."""
        self.sql("CREATE DATABASE orthanc OWNER orthanc")
        return {
            "EnableIndex": True,
            "EnableStorage": False,
            "Host": "127.0.0.1",
            "Port": self.port,
            "Database": "orthanc",
            "Username": "orthanc",
            "Password": "",
        }

    def stop(self):
        self.process.terminate()
        self.process.wait()


class RabbitMq:
    """A broker of one node, with its port mapper beside it."""

    SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"

    def __init__(self, place):
        folder = place / "rabbitmq"
        (folder / "home").mkdir(parents=True)
        self.port, between, mapper = (servers.free_port() for _ in range(3))
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self.port}\n"
            "default_vhost = hilum\ndefault_user = hilum\ndefault_pass = word\n"
            "default_permissions.configure = .*\ndefault_permissions.read = .*\ndefault_permissions.write = .*\n"
            "log.file.level = warning\n"
        )
        (folder / "plugins").write_text("[].\n")
        settings = {
            "HOME": folder / "home",
            "RABBITMQ_NODENAME": "bench@localhost",
            "RABBITMQ_MNESIA_BASE": folder / "mnesia",
            "RABBITMQ_LOG_BASE": folder / "log",
            "RABBITMQ_CONFIG_FILE": folder / "rabbitmq",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": folder / "plugins",
            "RABBITMQ_PID_FILE": folder / "pid",
            "RABBITMQ_NODE_PORT": self.port,
            "RABBITMQ_DIST_PORT": between,
            "ERL_EPMD_PORT": mapper,
            # Without it a shell stands between us and the node.
            "RABBITMQ_ALLOW_INPUT": 1,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-noinput -kernel inet_dist_use_interface {127,0,0,1}",
        }
        self.processes = []
        self.start(["epmd", "-address", "127.0.0.1", "-port", str(mapper)], folder, {})
        listens(mapper)
        self.start([self.SERVER], folder, {name: str(value) for name, value in settings.items()})
        listens(self.port)

    def start(self, command, folder, settings):
        log = (folder / "server.log").open("ab")
        environment = {**os.environ, **settings}
        self.processes.insert(
            0, subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        )

    @property
    def setting(self):
        return f'amqp = "amqp://hilum:word@127.0.0.1:{self.port}/hilum"'

    def stop(self):
        for process in self.processes:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(30)
            process.kill()
            process.wait()


class Authority:
    """Vouches for processes on this machine."""

    def __init__(self, place):
        self.folder = place / "tls"
        self.folder.mkdir()
        self.made("ca", "-addext", "basicConstraints=critical,CA:TRUE")
        of_it = ["-CA", self.folder / "ca.pem", "-CAkey", self.folder / "ca.key"]
        self.made("own", "-addext", "basicConstraints=critical,CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1", *of_it)

    def made(self, name, *more):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2"]
        command += ["-subj", f"/CN={name}", "-keyout", self.folder / f"{name}.key", "-out", self.folder / f"{name}.pem"]
        subprocess.run([*command, *more], check=True, capture_output=True)

    @property
    def setting(self):
        of = {"certificate": "own.pem", "key": "own.key", "ca": "ca.pem"}
        return ", ".join(f'{name} = "{self.folder / file}"' for name, file in of.items())
