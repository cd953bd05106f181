#!/usr/bin/env python3
"""A sink of Stele in a hundred lines: takes row changes by docs/plugins.md and keeps them, exactly once, in a SQLite file.

    [replica.mine]
    target = "plugin:python3 examples/plugin_sink.py /var/lib/mine.db"

Rows lie in one table: number of the mirrored table, place of the row in the order of keys, values as JSON.
"""

import json
import sqlite3
import sys

store = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
store.execute("PRAGMA journal_mode = wal")
store.execute("CREATE TABLE IF NOT EXISTS memory (source TEXT PRIMARY KEY, remembered TEXT NOT NULL)")
store.execute("CREATE TABLE IF NOT EXISTS rows_of (id INTEGER, place TEXT, content TEXT NOT NULL, PRIMARY KEY (id, place)) WITHOUT ROWID")


class Refused(Exception):
    """What cannot be done; the replica waits, says so, and tries again."""

    def __init__(self, kind, message, remedy=None):
        super().__init__(message)
        self.kind, self.remedy = kind, remedy


def remembered(source):
    found = store.execute("SELECT remembered FROM memory WHERE source = ?", [source]).fetchone()
    return json.loads(found[0]) if found else {"cursor": None, "tables": []}


def check_owner(request):
    """Nobody else may have written since this worker did."""
    if remembered(request["source"])["cursor"] != request["expect"]:
        raise Refused("overtaken", "another worker writes this file")


def change(table, row, insist=True):
    """Makes one change; insists that it finds what the ledger says is there."""
    place, after = row["place"], row["after"]
    if row["before"] is not None:
        gone = store.execute("DELETE FROM rows_of WHERE id = ? AND place = ?", [table, place]).rowcount
        if insist and gone != 1:
            raise Refused("missing_row", f"table {table} lacks the row {row['before']}", "run an audit with --repair")
    if after is not None:
        try:
            store.execute("INSERT INTO rows_of VALUES (?, ?, ?)", [table, place, json.dumps(after)])
        except sqlite3.IntegrityError:
            raise Refused("foreign_row", f"table {table} already has the row {after}", "delete it")


def reshape(before, after):
    """A table comes, goes, or its columns change: values keep the order of the columns."""
    if before and not after:
        store.execute("DELETE FROM rows_of WHERE id = ?", [before["id"]])
    if before and after:
        old = [column["id"] for column in before["columns"]]
        for place, content in store.execute("SELECT place, content FROM rows_of WHERE id = ?", [before["id"]]).fetchall():
            held = dict(zip(old, json.loads(content)))
            values = [held.get(column["id"], column["missing"]) for column in after["columns"]]
            store.execute("UPDATE rows_of SET content = ? WHERE id = ? AND place = ?", [json.dumps(values), before["id"], place])


def apply(request):
    check_owner(request)
    for step in request["steps"]:
        if "table" in step:
            reshape(step["table"]["before"], step["table"]["after"])
        else:
            for row in step["rows"]["changes"]:
                change(step["rows"]["table"], row)
    store.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", [request["source"], json.dumps(request["remember"])])


def mend(request):
    check_owner(request)
    for row in request["rows"]:
        change(request["table"], {**row, "before": row["before"] or row["after"] or []}, insist=False)


def remove(request):
    for table in remembered(request["source"])["tables"] if request["tables"] else []:
        store.execute("DELETE FROM rows_of WHERE id = ?", [table["id"]])
    store.execute("DELETE FROM memory WHERE source = ?", [request["source"]])


def read(request):
    rows = store.execute(
        "SELECT content FROM rows_of WHERE id = ? AND place >= ? AND place < ? ORDER BY place",
        [request["table"], request["from"] or "", request["to"] or "g"],
    )
    for (content,) in rows:
        answer({"row": json.loads(content)})
    return {"end": True}


def answer(said):
    print(json.dumps(said), flush="row" not in said)


WRITES = {"apply": apply, "mend": mend, "remove": remove}
for line in sys.stdin:
    request = json.loads(line)
    try:
        if request["do"] in WRITES:
            store.execute("BEGIN IMMEDIATE")
            WRITES[request["do"]](request)
            store.execute("COMMIT")
            answer({"done": True})
        elif request["do"] == "read":
            answer(read(request))
        else:
            if request["do"] == "begin_read":
                store.execute("BEGIN")  # until the program ends: all reads see one moment
            answer(remembered(request["source"]))
    except (Refused, sqlite3.Error) as error:
        answer({"error": {"kind": getattr(error, "kind", "other"), "message": str(error), "remedy": getattr(error, "remedy", None)}})
