"""docs/sql.md, run as it stands: each block in order on one new node, through the real psql.

A ```sql block must succeed, and print the ```text block that follows it, if one does. A ```sql error
block must fail with the SQLSTATE its first line names. Each statement of the table of what is not
taken must fail with the code and the hint beside it. Every function of the allow-list is in the page.

Self-contained: the program is the one `STELE_BIN` names, else the release build.
"""

import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parent.parent
PAGE = (REPOSITORY / "docs" / "sql.md").read_text()
START_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30
PSQL_SECONDS_MAX = 60


def program():
    named = os.environ.get("STELE_BIN")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    path = pathlib.Path(named) if named else target / "release" / "stele"
    if not path.is_file():
        raise unittest.SkipTest(f"{path} is not there: run `cargo build --release -p stele`, or set STELE_BIN")
    return str(path.resolve())


def environment():
    """Without settings that would change what the program or psql does."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STELE_", "PG"))}
    return {**kept, "LC_ALL": "C.UTF-8"}


def blocks():
    """(line, kind, text) of each fenced block."""
    for match in re.finditer(r"^```([a-z ]+)\n(.*?)^```$", PAGE, re.S | re.M):
        yield PAGE.count("\n", 0, match.start()) + 1, match[1], match[2]


def refused():
    """(statement, code, hint) of each row of the table of what is not taken."""
    section = PAGE.split("## What is not taken", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\| `(.+?)` \| (\w{5}) \| (.+?) \|$", section, re.M)


def lines(text):
    return [line.rstrip() for line in text.strip("\n").splitlines()]


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        home = pathlib.Path(tempfile.mkdtemp(prefix="stele-docs-"))
        cls.addClassCleanup(shutil.rmtree, home, ignore_errors=True)
        log = home / "node.log"
        with open(log, "wb") as out:
            node = subprocess.Popen(
                [program(), "start", "--dir", home / "data"]
                + ["--postgres-listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=home, env=environment(),
            )
        cls.addClassCleanup(cls.end, node)
        deadline = time.monotonic() + START_SECONDS_MAX
        while "Ctrl-C stops the node" not in (said := log.read_text(errors="replace")):
            if node.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"the node did not start:\n{said[-4000:]}")
            time.sleep(0.05)
        # Only the port this very process says it listens on.
        cls.port = re.search(r"^ +PostgreSQL +127\.0\.0\.1:(\d+)$", said, re.M)[1]
        cls.node = node

    @staticmethod
    def end(node):
        node.terminate()
        try:
            node.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            node.kill()
            node.wait()

    def psql(self, sql):
        return subprocess.run(
            ["psql", "-X", "-q", "-h", "127.0.0.1", "-p", self.port, "-U", "operator", "-d", "stele"]
            + ["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose"],
            input=sql, capture_output=True, text=True, timeout=PSQL_SECONDS_MAX, env=environment(),
        )

    def test_examples(self):
        """In one test: blocks build on those before them."""
        printed, ran = None, 0
        for line, kind, text in blocks():
            with self.subTest(line=line):
                if kind == "sql":
                    done = self.psql(text)
                    self.assertEqual((done.returncode, done.stderr), (0, ""), text)
                    printed = done.stdout
                elif kind == "sql error":
                    code = text.split()[1]
                    done = self.psql(text)
                    self.assertRegex(done.stderr, rf"ERROR:  {code}: ", text)
                elif kind == "text":
                    self.assertEqual(lines(printed), lines(text))
                else:
                    self.fail(f"line {line}: a block of kind {kind} is neither run nor compared")
                ran += 1
        self.assertGreater(ran, 20)
        self.assertIsNone(self.node.poll(), "the node ended")

    def test_refused(self):
        """Each in a message of its own; tables they name are made here, whatever ran before."""
        self.psql(next(text for _, kind, text in blocks() if kind == "sql"))
        rows = refused()
        self.assertGreater(len(rows), 40)
        for statement, code, hint in rows:
            with self.subTest(statement):
                done = self.psql(statement + ";\n")
                self.assertRegex(done.stderr, rf"ERROR:  {code}: ")
                self.assertIn(f"HINT:  {hint}\n", done.stderr)

    def test_every_function_is_listed(self):
        source = (REPOSITORY / "crates" / "sql" / "src" / "bind" / "functions.rs").read_text()
        table = source.split("SIGNATURES", 1)[1].split("REFUSED", 1)[0]
        names = set(re.findall(r'function\(\s*"(\w+)"', table))
        self.assertGreater(len(names), 30)
        section = PAGE.split("## Functions", 1)[1].split("\n## ", 1)[0]
        listed = set(re.findall(r"`(\w+)[`(]", section))
        self.assertEqual(names - listed, set())


if __name__ == "__main__":
    unittest.main()
