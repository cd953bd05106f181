// Reads and writes through node-postgres; ends with an error when anything differs.
const assert = require("assert");
const { Client } = require("pg");

async function use(url) {
  const client = new Client({ connectionString: url });
  await client.connect();
  await client.query(
    "CREATE TABLE by_node (id INT PRIMARY KEY, t TEXT, at TIMESTAMPTZ, j JSON, y BYTEA, n NUMERIC(8,2), f FLOAT8, b BOOLEAN)",
  );
  const at = new Date(0);
  const values = [1, "a", at, { k: [1] }, Buffer.from([0, 255]), "1.50", 0.5, true];
  await client.query("INSERT INTO by_node VALUES ($1,$2,$3,$4,$5,$6,$7,$8)", values);
  const { rows } = await client.query("SELECT * FROM by_node WHERE id = ANY ($1)", [[1, 2]]);
  assert.deepStrictEqual(rows, [
    { id: 1, t: "a", at, j: { k: [1] }, y: Buffer.from([0, 255]), n: "1.50", f: 0.5, b: true },
  ]);
  await client.query("BEGIN");
  await client.query("UPDATE by_node SET t = $1", ["z"]);
  await client.query("ROLLBACK");
  const named = await client.query({ name: "q", text: "SELECT t FROM by_node WHERE id = $1", values: [1] });
  assert.strictEqual(named.rows[0].t, "a");
  const failure = await client.query("INSERT INTO by_node (id) VALUES (1)").catch((error) => error);
  console.log(failure.code);
  await client.end();
}

use(process.argv[2]).catch((error) => {
  console.error(error);
  process.exit(1);
});
