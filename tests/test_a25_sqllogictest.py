"""A25: sqllogictest files give here what PostgreSQL 15 gives.

Our own are in `sqllogictest/`, public ones come out of packages on the crates registry. Every record runs on a real
PostgreSQL too: one that PostgreSQL does not answer as a public file says is another database's and does not count.
`sqllogictest/skipped.toml` names each record that counts and fails here, with the reason; one that fails and is not
named fails the test, and so does one that is named and passes.
"""

import collections
import hashlib
import json
import os
import pathlib
import subprocess
import tomllib
import unittest

from postgres_server import PostgresServer
from stele_node import REPOSITORY, NodeCase

FILES = pathlib.Path(__file__).resolve().parent / "sqllogictest"
RUNNER = pathlib.Path(__file__).resolve().parent / "clients" / "sqllogictest"
# A folder of its own: built with other settings than the program.
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target")) / "sqllogictest"
BUILD_SECONDS_MAX = 600
RUN_SECONDS_MAX = 300


def cargo(*arguments):
    done = subprocess.run(
        ["cargo", *arguments],
        cwd=RUNNER,
        env={**os.environ, "CARGO_TARGET_DIR": str(TARGET)},
        capture_output=True,
        text=True,
        timeout=BUILD_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise RuntimeError(f"cargo {' '.join(arguments)}: {done.stderr[-4000:]}")


def package(name, version, checksum):
    """Where cargo unpacked a package. It is fetched and never compiled."""
    registry = pathlib.Path(os.environ.get("CARGO_HOME", pathlib.Path.home() / ".cargo")) / "registry"
    for _ in range(2):
        for archive in registry.glob(f"cache/*/{name}-{version}.crate"):
            folder = registry / "src" / archive.parent.name / f"{name}-{version}"
            if folder.is_dir() and hashlib.sha256(archive.read_bytes()).hexdigest() == checksum:
                return folder
        cargo("info", "--quiet", f"{name}@{version}")
    raise FileNotFoundError(f"{name} {version} with the listed checksum is not among cargo's packages")


class SqlLogicTest(NodeCase):
    @classmethod
    def setUpClass(cls):
        cargo("build", "--quiet", "--locked")
        super().setUpClass()
        cls.postgres = PostgresServer()
        cls.addClassCleanup(cls.postgres.stop)
        cls.postgres.start()
        cls.listed = tomllib.loads((FILES / "skipped.toml").read_text())

    def run_files(self, files, *options):
        """Reports of the runner by file, here and of PostgreSQL, which run side by side."""
        servers = (
            f"host=127.0.0.1 port={self.node.postgres_port} user=operator dbname=stele",
            f"host={self.postgres.home} user=postgres dbname=postgres",
        )
        command = [TARGET / "debug" / "stele-sqllogictest", *options]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        running = [subprocess.Popen([*command, server, *files], text=True, **pipes) for server in servers]
        reports = []
        for process in running:
            self.addCleanup(process.kill)
            said, errors = process.communicate(timeout=RUN_SECONDS_MAX)
            self.assertEqual(process.returncode, 0, errors)
            reports.append({report["file"]: report for report in map(json.loads, said.splitlines())})
        return reports

    def compare(self, name, entry, mine, theirs):
        """What is wrong with the list for one file, and how many records held."""
        skipped = {int(line): why for line, why in entry.get("skip", {}).items()}
        not_theirs = {failed["line"] for failed in theirs["failed"]}
        failed = {record["line"]: record for record in mine["failed"] if record["line"] not in not_theirs}
        wrong = [f"{name}:{line} fails and is not listed: {failed[line]['reason']}" for line in failed.keys() - skipped.keys()]
        wrong += [f"{name}:{line} is listed and does not fail" for line in skipped.keys() - failed.keys()]
        return wrong, theirs["passed"] - len(failed), len(failed)

    def report(self, what, counts, wrong):
        print(f"test_a25_sqllogictest: {what}: {dict(counts)}", flush=True)
        if wrong:
            self.fail(f"{len(wrong)} differences:\n" + "\n".join(wrong))

    def test_a25_own_files(self):
        files = sorted(FILES.glob("*.slt"))
        entries = {entry["path"]: entry for entry in self.listed["own"]}
        self.assertLessEqual(entries.keys(), {file.name for file in files})
        mine, theirs = self.run_files(files)
        counts, wrong = collections.Counter(files=len(files)), []
        for file in files:
            report = theirs[str(file)]
            wrong += [f"{file.name}:{record['line']} PostgreSQL: {record['reason']}" for record in report["failed"]]
            said, held, skipped = self.compare(file.name, entries.get(file.name, {}), mine[str(file)], report)
            wrong += said
            counts.update(held=held, skipped=skipped)
        self.report("own files", counts, wrong)

    def test_a25_public_files(self):
        packages = self.listed["packages"]
        folders = {name: package(name, wanted["version"], wanted["checksum"]) for name, wanted in packages.items()}
        files = {str(folders[entry["package"]] / entry["path"]): entry for entry in self.listed["public"]}
        mine, theirs = self.run_files(files, "--public")
        counts, wrong = collections.Counter(files=len(files)), []
        for file, entry in files.items():
            name = f"{entry['package']}/{entry['path']}"
            if theirs[file]["passed"] != entry["counted"]:
                wrong.append(f"{name}: {theirs[file]['passed']} records count, not {entry['counted']}")
            said, held, skipped = self.compare(name, entry, mine[file], theirs[file])
            wrong += said
            counts.update(held=held, skipped=skipped, not_counted=theirs[file]["run"] - theirs[file]["passed"])
        self.report("public files", counts, wrong)


if __name__ == "__main__":
    unittest.main()
