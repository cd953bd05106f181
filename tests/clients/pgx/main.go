package main

import (
	"context"
	"fmt"
	"github.com/jackc/pgx/v5"
	"os"
	"time"
)

func must(e error) {
	if e != nil {
		fmt.Println("FAIL", e)
		os.Exit(1)
	}
}
func main() {
	ctx := context.Background()
	c, e := pgx.Connect(ctx, os.Args[1])
	must(e)
	defer c.Close(ctx)
	_, e = c.Exec(ctx, "create table if not exists got (id int primary key, t text, at timestamptz, n numeric(8,2), f float8, b boolean)")
	must(e)
	_, e = c.Exec(ctx, "delete from got")
	must(e)
	_, e = c.Exec(ctx, "insert into got values ($1,$2,$3,$4,$5,$6)", 1, "a", time.Unix(0, 0), "1.50", 0.5, true)
	must(e)
	n, e := c.CopyFrom(ctx, pgx.Identifier{"got"}, []string{"id", "t"}, pgx.CopyFromRows([][]any{{2, "x"}, {3, "y"}}))
	must(e)
	fmt.Println("copied", n)
	rows, e := c.Query(ctx, "select id, t from got where id = any($1) order by id", []int32{1, 3})
	must(e)
	for rows.Next() {
		var id int32
		var t string
		must(rows.Scan(&id, &t))
		fmt.Println(id, t)
	}
	must(rows.Err())
	b := &pgx.Batch{}
	b.Queue("insert into got (id) values ($1)", 10)
	b.Queue("select count(*) from got")
	r := c.SendBatch(ctx, b)
	_, e = r.Exec()
	must(e)
	var k int64
	must(r.QueryRow().Scan(&k))
	must(r.Close())
	fmt.Println("count", k)
	tx, e := c.Begin(ctx)
	must(e)
	_, e = tx.Exec(ctx, "delete from got")
	must(e)
	must(tx.Rollback(ctx))
	var s string
	must(c.QueryRow(ctx, "select sum(n)::text from got").Scan(&s))
	fmt.Println(s)
	_, e = c.Exec(ctx, "insert into got (id) values (1)")
	fmt.Println(e)
}
