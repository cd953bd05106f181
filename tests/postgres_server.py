"""A real PostgreSQL 15 on a directory of its own, for tests that compare with it.

It does not run as root, so root starts it as the user `postgres` of Debian's package.
"""

import os
import pathlib
import shutil
import subprocess
import tempfile

import psycopg

VERSION = "15"
START_SECONDS_MAX = 60


def program(name):
    """A program of PostgreSQL's server. That it is missing is a failure: nothing would be tested."""
    for path in (pathlib.Path(f"/usr/lib/postgresql/{VERSION}/bin/{name}"), shutil.which(name)):
        if path and pathlib.Path(path).is_file():
            return str(path)
    raise FileNotFoundError(f"{name} of PostgreSQL {VERSION} is not there: apt-get install postgresql-{VERSION}")


class PostgresServer:
    """One server process that listens on a socket in its own directory only."""

    def __init__(self):
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="stele-pg-"))
        self.user = "postgres" if os.geteuid() == 0 else None
        if self.user:
            shutil.chown(self.home, self.user)
        self.data = self.home / "data"

    def run(self, *command):
        prefix = ["runuser", "-u", self.user, "--"] if self.user else []
        done = subprocess.run(
            [*prefix, *map(str, command)],
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_SECONDS_MAX * 2,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]}: {done.stdout[-2000:]}")

    def start(self):
        self.run(program("initdb"), "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D", self.data)
        options = f"-k {self.home} -c listen_addresses='' -c fsync=off -c timezone=UTC"
        log = self.home / "log"
        self.run(program("pg_ctl"), "-D", self.data, "-l", log, "-o", options, "-t", START_SECONDS_MAX, "-w", "start")
        return self

    def connect(self):
        return psycopg.connect(host=str(self.home), user="postgres", dbname="postgres", autocommit=True)

    def stop(self):
        try:
            self.run(program("pg_ctl"), "-D", self.data, "-m", "immediate", "stop")
        finally:
            shutil.rmtree(self.home, ignore_errors=True)
