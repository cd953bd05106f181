//! Tables of a PostgreSQL database that no ledger wrote.

use stele_core::Type;
use stele_flow::SinkError;

use super::{PostgresSink, connect};
use crate::foreign::{Foreign, ForeignColumn, ForeignTable, Gathered, numbers, numeric, text_of};

/// The ledger's type of a type as PostgreSQL writes it.
fn type_of(declared: &str) -> Type {
    let word = declared.split('(').next().unwrap_or_default().trim();
    match word {
        _ if declared.ends_with("[]") => Type::Text,
        "boolean" => Type::Bool,
        "smallint" => Type::SmallInt,
        "integer" => Type::Integer,
        "bigint" => Type::BigInt,
        "numeric" => numeric(&numbers(declared)),
        "real" | "double precision" => Type::Double,
        "character varying" => text_of(&numbers(declared)),
        "character" => match numbers(declared).as_slice() {
            [length, ..] if *length <= stele_core::value::CHAR_LEN_MAX => Type::Char(*length),
            other => text_of(other),
        },
        "bytea" => Type::Bytea,
        "date" => Type::Date,
        "uuid" => Type::Uuid,
        "json" | "jsonb" => Type::Json,
        "timestamp" if declared.ends_with("with time zone") => Type::TimestampTz,
        "timestamp" | "timestamp without time zone" => Type::Timestamp,
        "timestamp with time zone" => Type::TimestampTz,
        _ => Type::Text,
    }
}

impl Foreign for PostgresSink {
    fn foreign_tables(&mut self) -> Result<Vec<ForeignTable>, SinkError> {
        let server = self.server.clone();
        let client = self.reading()?;
        let rows = client
            .query(
                "SELECT n.nspname::text, c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                        (SELECT array_position(i.indkey::int2[], a.attnum) FROM pg_index AS i
                         WHERE i.indrelid = c.oid AND i.indisprimary)::int4
                 FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace JOIN pg_attribute AS a ON a.attrelid = c.oid
                 WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
                   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
                   AND (n.nspname, c.relname) NOT IN (('stele', 'stele_cursor'), ('stele', 'stele_tables'))
                 ORDER BY n.nspname, c.relname, a.attnum",
                &[],
            )
            .map_err(|error| connect::failed(&server, &error))?;
        let mut tables = Gathered::default();
        for row in rows {
            let table = format!("{}.{}", row.get::<_, String>(0), row.get::<_, String>(1));
            let declared: String = row.get(3);
            let column = ForeignColumn {
                name: row.get(2),
                ty: type_of(&declared),
                declared,
                not_null: row.get(4),
            };
            let place: Option<i32> = row.get(5);
            tables.push(table, column, place.map(i64::from));
        }
        Ok(tables.tables())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_the_ledgers_or_text() {
        for (declared, ty) in [
            ("timestamp(3) with time zone", Type::TimestampTz),
            ("character varying(40)", Type::Varchar(40)),
            ("integer[]", Type::Text),
            ("order_state", Type::Text),
            ("jsonb", Type::Json),
        ] {
            assert_eq!(type_of(declared), ty, "{declared}");
        }
    }
}
