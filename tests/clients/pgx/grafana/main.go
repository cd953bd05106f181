// What a Grafana PostgreSQL data source does with a server, by its driver and in its way: a pool's
// ping, the look-ups of the query builder, and panels' queries with the macros replaced, all by the
// simple protocol with results decoded by their type's OID. It is not Grafana itself.
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

var types = pgtype.NewMap()

func fail(what string, e error) {
	if e != nil {
		fmt.Println("FAIL", what, e)
		os.Exit(1)
	}
}

// The schemas a table is found in without naming one.
const inPath = `quote_ident(table_schema) IN (
  SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END
  FROM generate_series(array_lower(string_to_array(current_setting('search_path'),','),1),
      array_upper(string_to_array(current_setting('search_path'),','),1)) as i,
    string_to_array(current_setting('search_path'),',') s)`

const tables = `SELECT CASE WHEN ` + inPath + ` THEN quote_ident(table_name)
    ELSE quote_ident(table_schema) || '.' || quote_ident(table_name) END AS "table"
  FROM information_schema.tables
  WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog', 'stele', 'timescaledb_information')
  ORDER BY CASE WHEN ` + inPath + ` THEN 0 ELSE 1 END, 1`

func columns(table string) string {
	name := "'" + strings.ReplaceAll(table, "'", "''") + "'"
	return `SELECT quote_ident(column_name) AS "column", data_type AS "type" FROM information_schema.columns
  WHERE CASE WHEN array_length(parse_ident(` + name + `),1) = 2
    THEN quote_ident(table_schema) = (parse_ident(` + name + `))[1] AND quote_ident(table_name) = (parse_ident(` + name + `))[2]
    ELSE quote_ident(table_name) = ` + name + ` AND ` + inPath + ` END`
}

// A row of values decoded as the data source decodes them.
func show(fields []pgconn.FieldDescription, row [][]byte) string {
	var cells []string
	for place, field := range fields {
		raw := row[place]
		var target any
		switch field.DataTypeOID {
		case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
			target = new(int64)
		case pgtype.NumericOID, pgtype.Float8OID:
			target = new(float64)
		case pgtype.TimestampOID, pgtype.TimestamptzOID, pgtype.DateOID:
			target = new(time.Time)
		case pgtype.BoolOID:
			target = new(bool)
		default:
			target = new(string)
		}
		if raw == nil {
			cells = append(cells, "NULL")
			continue
		}
		fail(field.Name, types.Scan(field.DataTypeOID, field.Format, raw, target))
		switch value := target.(type) {
		case *int64:
			cells = append(cells, fmt.Sprint(*value))
		case *float64:
			cells = append(cells, fmt.Sprint(*value))
		case *time.Time:
			cells = append(cells, value.UTC().Format(time.RFC3339Nano))
		case *bool:
			cells = append(cells, fmt.Sprint(*value))
		case *string:
			cells = append(cells, *value)
		}
	}
	return strings.Join(cells, "|")
}

func main() {
	ctx := context.Background()
	connection, e := pgx.Connect(ctx, os.Args[1])
	fail("connect", e)
	defer connection.Close(ctx)
	fail("ping", connection.Ping(ctx))
	run := func(name, sql string) {
		results, e := connection.PgConn().Exec(ctx, sql).ReadAll()
		fail(name, e)
		var lines []string
		for _, result := range results {
			fail(name, result.Err)
			for _, row := range result.Rows {
				lines = append(lines, show(result.FieldDescriptions, row))
			}
		}
		fmt.Println(name+":", strings.Join(lines, "; "))
	}
	run("made", `CREATE SCHEMA geo; CREATE TABLE geo.points (id BIGINT PRIMARY KEY);
    CREATE TABLE rides (id BIGINT PRIMARY KEY, started_at TIMESTAMPTZ NOT NULL, at_s BIGINT, km NUMERIC(10,2), city TEXT);
    INSERT INTO rides SELECT g, timestamptz '2026-11-21 10:00:00Z' + g * interval '1 minute', 1795255200 + g * 60, g * 1.5, 'c' || g % 3
      FROM generate_series(1, 12) g`)
	run("health", "SELECT 1")
	run("version", "SELECT current_setting('server_version_num')::int/100 as version")
	run("timescaledb", "SELECT extversion FROM pg_extension WHERE extname = 'timescaledb'")
	run("schemas", `SELECT schema_name AS "name" FROM information_schema.schemata WHERE schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_toast') ORDER BY schema_name`)
	run("tables", tables)
	run("columns", columns("rides"))
	run("columns of a schema", columns(`geo.points`))
	// $__timeFilter, $__timeGroupAlias, $__timeGroup in GROUP BY, $__unixEpochFilter, $__unixEpochGroup, $__time, $__timeEpoch.
	run("series", `SELECT floor(extract(epoch from started_at)/300)*300 AS "time", city AS metric, avg(km) AS value FROM rides
    WHERE started_at BETWEEN '2026-11-21T10:00:00.123456789Z' AND '2026-11-21T10:06:00Z' GROUP BY 1, 2 ORDER BY 1, 2`)
	run("grouped", `SELECT floor(extract(epoch from started_at)/0.5)*0.5 AS "time", max(km) FROM rides GROUP BY time ORDER BY time DESC LIMIT 1`)
	run("epochs", `SELECT floor((at_s)/300)*300 AS "time", sum(km) FROM rides WHERE at_s >= 1795255200 AND at_s <= 1795255500 GROUP BY 1 ORDER BY 1`)
	run("table", `SELECT started_at AS "time", extract(epoch from started_at) as epoch, km, city, km > 3 AS far, NULL AS nothing FROM rides ORDER BY 1 LIMIT 1`)
	run("variable", `SELECT DISTINCT city AS "__text", city AS "__value" FROM rides ORDER BY 1 LIMIT 50`)
	run("annotations", `SELECT extract(epoch from started_at) AS time, city as text, 'a,b' as tags FROM rides WHERE id = 1`)
}
