//! Tables of a MySQL or MariaDB database that no ledger wrote.

use mysql::prelude::Queryable as _;
use stele_core::Type;
use stele_flow::SinkError;

use super::MySqlSink;
use crate::foreign::{Foreign, ForeignColumn, ForeignTable, Gathered, numbers, numeric, text_of};

/// Table, column, type, nullable, place in the primary key.
type ColumnRow = (String, String, String, String, Option<i64>);

/// The ledger's type of a column type: an unsigned one is the next larger.
fn type_of(declared: &str) -> Type {
    let word = declared.split(['(', ' ']).next().unwrap_or_default();
    let unsigned = declared.contains("unsigned");
    match word {
        _ if declared.starts_with("tinyint(1)") => Type::Bool,
        "tinyint" | "year" => Type::SmallInt,
        "smallint" if !unsigned => Type::SmallInt,
        "smallint" | "mediumint" => Type::Integer,
        "int" | "integer" if !unsigned => Type::Integer,
        "int" | "integer" => Type::BigInt,
        "bigint" if !unsigned => Type::BigInt,
        "bigint" => numeric(&[20]),
        "decimal" | "numeric" => numeric(&numbers(declared)),
        "float" | "double" => Type::Double,
        "varchar" | "char" => text_of(&numbers(declared)),
        "binary" | "varbinary" | "bit" => Type::Bytea,
        _ if word.ends_with("blob") => Type::Bytea,
        // Only as bytes can these be read whole.
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring"
        | "multipolygon" | "geometrycollection" | "vector" => Type::Bytea,
        "date" => Type::Date,
        "datetime" | "timestamp" => Type::Timestamp,
        "json" => Type::Json,
        "uuid" => Type::Uuid,
        _ => Type::Text,
    }
}

impl Foreign for MySqlSink {
    fn foreign_tables(&mut self) -> Result<Vec<ForeignTable>, SinkError> {
        let found: mysql::Result<Vec<ColumnRow>> = self.connected()?.conn.query(
            "SELECT c.table_name, c.column_name, c.column_type, c.is_nullable, k.ordinal_position
             FROM information_schema.columns AS c
             JOIN information_schema.tables AS t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
             LEFT JOIN information_schema.key_column_usage AS k
               ON k.table_schema = c.table_schema AND k.table_name = c.table_name
              AND k.column_name = c.column_name AND k.constraint_name = 'PRIMARY'
             WHERE c.table_schema = database() AND t.table_type = 'BASE TABLE'
               AND c.table_name NOT IN ('stele_cursor', 'stele_tables')
             ORDER BY c.table_name, c.ordinal_position",
        );
        let found = found.map_err(|error| self.failed(&error))?;
        let mut tables = Gathered::default();
        for (table, name, declared, nullable, place) in found {
            let column = ForeignColumn {
                name,
                ty: type_of(&declared),
                declared,
                not_null: nullable == "NO",
            };
            tables.push(table, column, place);
        }
        Ok(tables.tables())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unsigned_integers_are_the_next_larger() {
        assert_eq!(type_of("int(10) unsigned"), Type::BigInt);
        assert_eq!(type_of("tinyint(1)"), Type::Bool);
        assert_eq!(type_of("bigint(20) unsigned"), numeric(&[20]));
        assert_eq!(type_of("enum('a','b')"), Type::Text);
    }
}
