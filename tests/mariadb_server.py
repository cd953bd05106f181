"""A real MariaDB on a directory of its own, for tests that mirror into it.

It listens on a socket in its own directory, and on a free TCP port of this machine where that is asked for.
Started as root it becomes the user `mysql` of Debian's package.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 60
STATEMENT_SECONDS_MAX = 60
USER = "app"
SECRET_USER = "keeper"
SECRET = "s3cr'et \\ ä"


def program(name):
    """A program of MariaDB. That it is missing is a failure: nothing would be tested."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise FileNotFoundError(f"{name} is not there: apt-get install mariadb-server mariadb-client")
    return path


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


class MariaDbServer:
    """One server process. `tcp` also makes it listen on `self.port` of 127.0.0.1."""

    def __init__(self, tcp=False):
        # Short: a socket's path has 107 bytes at most.
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="stele-my-"))
        self.user = "mysql" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.home, self.user)
            self.home.chmod(0o755)
        self.data = self.home / "data"
        # Its own: a server that starts deletes the temporary tables of any other there.
        self.temporary = self.home / "tmp"
        self.temporary.mkdir()
        if self.user:
            shutil.chown(self.temporary, self.user)
        self.socket = self.home / "s.sock"
        self.log = self.home / "log"
        self.port = free_port() if tcp else None
        self.process = None

    def start(self):
        """Makes the data directory at first, starts the process and waits until it answers."""
        if not self.data.exists():
            self.install()
        options = ["--skip-networking"] if self.port is None else ["--bind-address=127.0.0.1", f"--port={self.port}"]
        if self.user:
            options.append(f"--user={self.user}")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [program("mariadbd"), "--no-defaults", f"--datadir={self.data}", f"--socket={self.socket}"]
                + [f"--tmpdir={self.temporary}"]
                + [f"--pid-file={self.home / 'pid'}", "--innodb-buffer-pool-size=48M", "--innodb-log-file-size=48M"]
                + ["--innodb-flush-log-at-trx-commit=2", "--default-time-zone=+03:00", *options],
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.wait_until_answering()
        if not self.sql("SELECT 1 FROM mysql.user WHERE user = 'app'"):
            self.sql(f"CREATE USER {USER}@localhost; GRANT ALL ON *.* TO {USER}@localhost")
            secret = SECRET.replace("\\", "\\\\").replace("'", "''")
            for host in ("localhost", "127.0.0.1"):
                self.sql(f"CREATE USER {SECRET_USER}@'{host}' IDENTIFIED BY '{secret}'")
                self.sql(f"GRANT ALL ON *.* TO {SECRET_USER}@'{host}'")
        return self

    def signal(self, number):
        self.process.send_signal(number)

    def install(self):
        owner = [f"--user={self.user}"] if self.user else []
        done = subprocess.run(
            [program("mariadb-install-db"), "--no-defaults", f"--datadir={self.data}", "--skip-test-db", *owner]
            + [f"--tmpdir={self.temporary}"]
            + ["--auth-root-authentication-method=normal", "--skip-name-resolve"],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_SECONDS_MAX * 2,
        )
        if done.returncode != 0:
            raise RuntimeError(f"mariadb-install-db: {done.stdout[-2000:]}")

    def wait_until_answering(self):
        deadline = time.monotonic() + START_SECONDS_MAX
        while True:
            done = self.client("SELECT 1", None)
            if done.returncode == 0:
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                said = self.log.read_text(errors="replace")[-3000:]
                raise RuntimeError(f"mariadbd does not answer: {done.stderr}\n{said}")
            time.sleep(0.1)

    def client(self, text, database):
        named = [database] if database else []
        return subprocess.run(
            [program("mariadb"), "--no-defaults", f"--socket={self.socket}", "-u", "root", "-N", "-B"]
            + ["--default-character-set=utf8mb4", *named],
            input=text.encode(),
            capture_output=True,
            timeout=STATEMENT_SECONDS_MAX,
        )

    def sql(self, text, database=None):
        """Runs statements as root; gives their rows as lists of texts, as the client's batch form writes them."""
        done = self.client(text, database)
        if done.returncode != 0:
            raise RuntimeError(f"{text[:500]}\n{done.stderr.decode(errors='replace')}")
        return [line.split("\t") for line in done.stdout.decode().splitlines()]

    def target(self, database, user=USER):
        """The database as `stele replica` names it."""
        return f"mysql://{user}@localhost:3306/{database}?socket={self.socket}"

    def kill(self):
        """kill -9, at once."""
        if self.process and self.process.poll() is None:
            self.process.kill()
        if self.process:
            self.process.wait(STOP_SECONDS_MAX)

    def halt(self):
        """Stops cleanly; the data stays, and `start` goes on with it."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError(f"mariadbd did not end within {STOP_SECONDS_MAX} s of SIGTERM")

    def stop(self):
        try:
            self.kill()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
