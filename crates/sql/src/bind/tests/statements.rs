use stele_core::account::AccountId;
use stele_core::{Type, Value};

use super::harness::Harness;
use crate::bound::Bound;

const ORDERS: &str = "CREATE TABLE orders (
    id BIGINT PRIMARY KEY,
    customer VARCHAR(20) NOT NULL,
    amount NUMERIC(12,2) NOT NULL CHECK (amount > 0),
    paid BOOLEAN NOT NULL DEFAULT false,
    note TEXT,
    UNIQUE (customer, amount))";

fn with_orders() -> Harness {
    let mut harness = Harness::new();
    harness.run(ORDERS).unwrap();
    harness
        .run(
            "INSERT INTO orders (id, customer, amount, note) VALUES
              (1, 'ann', 10.50, 'first'), (2, 'bob', 20, NULL), (3, 'ann', 0.01, 'it''s')",
        )
        .unwrap();
    harness
}

#[test]
fn rows_come_back_as_written() {
    let mut harness = with_orders();
    let rows = harness.run("SELECT * FROM orders ORDER BY id").unwrap();
    assert_eq!(rows[0], ["1", "ann", "10.50", "f", "first"]);
    assert_eq!(rows[1], ["2", "bob", "20.00", "f", "NULL"]);
    assert_eq!(rows[2], ["3", "ann", "0.01", "f", "it's"]);
    let rows = harness
        .run("UPDATE orders SET paid = true, amount = amount * 2 WHERE customer = 'ann' RETURNING id, amount")
        .unwrap();
    assert_eq!(rows, [["1", "21.00"], ["3", "0.02"]]);
    let rows = harness
        .run("DELETE FROM orders WHERE NOT paid RETURNING *")
        .unwrap();
    assert_eq!(rows.len(), 1);
    let rows = harness
        .run("SELECT customer, count(*), sum(amount) FROM orders GROUP BY customer")
        .unwrap();
    assert_eq!(rows, [["ann", "2", "21.02"]]);
}

#[test]
fn constraints_name_themselves() {
    let mut harness = with_orders();
    let error = harness
        .run("INSERT INTO orders VALUES (1, 'x', 1, true, NULL)")
        .unwrap_err();
    assert_eq!(error.code.as_str(), "23505");
    assert_eq!(
        error.message,
        "duplicate key value violates unique constraint \"orders_pkey\""
    );
    let error = harness
        .run("INSERT INTO orders VALUES (9, 'bob', 20, true, NULL)")
        .unwrap_err();
    assert_eq!(
        error.constraint.as_deref(),
        Some("orders_customer_amount_key")
    );
    let error = harness
        .run("INSERT INTO orders VALUES (9, 'bob', 0, true, NULL)")
        .unwrap_err();
    assert_eq!(error.code.as_str(), "23514");
    assert_eq!(error.constraint.as_deref(), Some("orders_amount_check"));
    let error = harness
        .run("INSERT INTO orders (id, amount) VALUES (9, 1)")
        .unwrap_err();
    assert_eq!(
        error.message,
        "null value in column \"customer\" of relation \"orders\" violates not-null constraint"
    );
    assert_eq!(
        harness.code("INSERT INTO orders VALUES (9, 'a name that is far too long', 1, true, '')"),
        "22001"
    );
    assert_eq!(
        harness.code("INSERT INTO orders VALUES (9, 'a', 12345678901.00, true, '')"),
        "22003"
    );
}

#[test]
fn a_plain_insert_has_no_function_calls() {
    let harness = with_orders();
    let Bound::Write(write) = harness
        .bound("INSERT INTO orders VALUES ($1, $2, $3, $4, $5)")
        .unwrap()
    else {
        panic!("no write");
    };
    assert_eq!(
        write.sqlite,
        "INSERT INTO t1000 AS r1(c1,c2,c3,c4,c5,_h,_x) VALUES (?1,?2,?3,?4,?5,?6,?7)"
    );
    assert_eq!(
        write.parameters,
        [
            Type::BigInt,
            Type::Varchar(20),
            Type::Numeric {
                precision: 12,
                scale: 2
            },
            Type::Bool,
            Type::Text
        ]
    );
}

fn plan(harness: &Harness, sql: &str) -> String {
    let bound = harness.bound(sql).unwrap();
    let sql = match &bound {
        Bound::Query(query) => &query.sqlite,
        Bound::Write(write) => &write.sqlite,
        Bound::Schema(_) | Bound::Call(_) => panic!("no plan"),
    };
    let mut statement = harness
        .connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let mut rows = statement.raw_query();
    let mut text = String::new();
    while let Some(row) = rows.next().unwrap() {
        text.push_str(&row.get::<_, String>(3).unwrap());
        text.push('\n');
    }
    text
}

#[test]
fn look_ups_by_key_use_the_key() {
    let harness = with_orders();
    for sql in [
        "SELECT * FROM orders WHERE id = $1",
        "SELECT * FROM orders WHERE id = 5",
        "UPDATE orders SET paid = true WHERE id = $1",
        "DELETE FROM orders WHERE id = $1",
        "SELECT * FROM orders WHERE id > $1 ORDER BY id LIMIT 10",
    ] {
        let plan = plan(&harness, sql);
        assert!(plan.contains("USING PRIMARY KEY"), "{sql}: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{sql}: {plan}");
    }
    for sql in [
        "SELECT * FROM orders WHERE customer = $1 AND amount > 5",
        "SELECT * FROM orders WHERE customer LIKE 'an%'",
        "SELECT * FROM orders WHERE customer = 'ann' AND amount >= $1",
    ] {
        let plan = plan(&harness, sql);
        assert!(plan.contains("USING INDEX"), "{sql}: {plan}");
    }
}

#[test]
fn parameters_take_the_type_they_touch() {
    let mut harness = with_orders();
    let rows = harness
        .run_with(
            "SELECT id FROM orders WHERE amount > $1 AND customer = $2",
            &[
                Value::Text("10.499".to_owned()),
                Value::Text("ann".to_owned()),
            ],
        )
        .unwrap();
    assert_eq!(rows, [["1"]]);
}

#[test]
fn upserts_update_or_do_nothing() {
    let mut harness = with_orders();
    harness
        .run("INSERT INTO orders VALUES (1, 'zoe', 7, true, 'x') ON CONFLICT DO NOTHING")
        .unwrap();
    let rows = harness
        .run("INSERT INTO orders AS o VALUES (1, 'zoe', 7, true, 'x'), (5, 'new', 5, true, 'y')
              ON CONFLICT (id) DO UPDATE SET amount = o.amount + excluded.amount, note = excluded.note
              WHERE o.customer = 'ann' RETURNING id, customer, amount, note")
        .unwrap();
    assert_eq!(
        rows,
        [["1", "ann", "17.50", "x"], ["5", "new", "5.00", "y"]]
    );
}

#[test]
fn only_the_owner_uses_a_table() {
    let mut harness = with_orders();
    harness.context.account = AccountId([2; 32]);
    for sql in [
        "SELECT * FROM orders",
        "INSERT INTO orders VALUES (7, 'x', 1, true, NULL)",
        "UPDATE orders SET paid = true",
        "DELETE FROM orders",
        "DROP TABLE orders",
        "ALTER TABLE orders RENAME TO mine",
        "CREATE INDEX ON orders (note)",
        "SELECT * FROM stele_history('orders')",
        "SELECT * FROM stele_changes('orders')",
        "SELECT * FROM stele_diff('orders', 1, 2)",
        "SELECT * FROM orders FOR SYSTEM_TIME AS OF 1",
        "SELECT (SELECT count(*) FROM orders)",
    ] {
        assert_eq!(harness.code(sql), "42501", "{sql}");
    }
    assert_eq!(
        harness
            .value("SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"),
        "0"
    );
}

#[test]
fn columns_are_named_as_in_postgresql() {
    let harness = with_orders();
    let bound = harness
        .bound(
            "SELECT 1, count(*), o.id, o.amount::text, lower(note), now(), CASE WHEN paid THEN 1 END,
             '7'::int8, NOT paid, id AS \"Mixed\", EXISTS (SELECT 1), true FROM orders o GROUP BY id",
        )
        .unwrap();
    let names: Vec<&str> = bound.columns().iter().map(|c| c.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "?column?", "count", "id", "amount", "lower", "now", "case", "int8", "?column?",
            "Mixed", "exists", "bool"
        ]
    );
}

#[test]
fn declared_types_give_way_to_columns_of_their_family() {
    let mut harness = with_orders();
    harness.context.parameters = vec![
        Some(Type::Integer),
        Some(Type::Text),
        Some(Type::Double),
        None,
    ];
    let bound = harness
        .bound("INSERT INTO orders (id, customer, amount, note) VALUES ($1, $2, $3, $4)")
        .unwrap();
    assert_eq!(
        bound.parameters(),
        [Type::BigInt, Type::Varchar(20), Type::Double, Type::Text]
    );
    harness.context.parameters = vec![Some(Type::Bool)];
    let error = harness
        .bound("INSERT INTO orders (id) VALUES ($1)")
        .unwrap_err();
    assert_eq!(error.code.as_str(), "42804");
}

#[test]
fn every_write_takes_the_two_hidden_parameters() {
    let harness = with_orders();
    for sql in [
        "INSERT INTO orders (id) SELECT $1",
        "UPDATE orders SET note = $1",
        "DELETE FROM orders WHERE id = $1",
        "DELETE FROM orders",
    ] {
        let Bound::Write(write) = harness.bound(sql).unwrap() else {
            panic!("no write");
        };
        let statement = harness.connection.prepare(&write.sqlite).unwrap();
        assert_eq!(
            statement.parameter_count(),
            write.parameters.len() + 2,
            "{sql}"
        );
    }
}
