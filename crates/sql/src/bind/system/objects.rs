//! The objects of the catalogue, with the numbers clients know them by.

use stele_core::Type;
use stele_core::account::AccountId;
use stele_core::schema::{ColumnId, Index, Table};

use crate::bind::Binder;
use crate::system_type::Element;

/// First number of an object that is not built in, as in PostgreSQL.
const FIRST: i64 = 16_384;
/// Numbers kept for what belongs to one table: the table itself, then its indexes.
const EACH: i64 = 1_024;
/// Where numbers of constraints other than keys begin among those.
const CHECKS: i64 = 512;

pub(super) const PG_CATALOG: i64 = 11;
pub(super) const PUBLIC: i64 = 2_200;
pub(super) const INFORMATION_SCHEMA: i64 = 13_000;
pub(super) const STELE: i64 = 13_001;
pub(super) const BTREE: i64 = 403;
pub(super) const HEAP: i64 = 2;
pub(super) const DATABASE: i64 = 5;
pub(super) const COLLATION: i64 = 100;
/// First number of a schema that a user made.
const SCHEMAS: i64 = 14_000;
/// First number of a system relation.
pub(super) const SYSTEM_RELATIONS: i64 = 10_000;

/// A key of a table: what PostgreSQL keeps as an index, and perhaps a constraint.
pub(super) struct Key<'t> {
    pub(super) oid: i64,
    pub(super) name: &'t str,
    pub(super) columns: &'t [ColumnId],
    pub(super) unique: bool,
    pub(super) primary: bool,
}

pub(super) fn table_oid(table: &Table) -> i64 {
    FIRST + i64::from(table.id.0) * EACH
}

pub(super) fn check_oid(table: &Table, place: usize) -> i64 {
    table_oid(table) + CHECKS + place as i64
}

/// The primary key, then the indexes.
pub(super) fn keys(table: &Table) -> impl Iterator<Item = Key<'_>> {
    let oid = table_oid(table);
    let primary = Key {
        oid: oid + 1,
        name: &table.primary_key_name,
        columns: &table.primary_key,
        unique: true,
        primary: true,
    };
    let others = table.indexes.iter().zip(2..).map(move |(index, place)| {
        let Index {
            name,
            columns,
            unique,
        } = index;
        Key {
            oid: oid + place,
            name,
            columns,
            unique: *unique,
            primary: false,
        }
    });
    std::iter::once(primary).chain(others)
}

/// The place of a column, from 1.
pub(super) fn place_of(table: &Table, id: ColumnId) -> i64 {
    let found = table.columns.iter().position(|column| column.id == id);
    found.map_or(0, |place| place as i64 + 1)
}

/// Names of columns, quoted where they must be.
pub(super) fn column_names(table: &Table, ids: &[ColumnId]) -> String {
    let names: Vec<String> = ids
        .iter()
        .filter_map(|id| table.column(*id))
        .map(|column| quoted(&column.name))
        .collect();
    names.join(", ")
}

/// A name as it must be written.
pub(super) fn quoted(name: &str) -> String {
    let bare = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    match bare {
        true => name.to_owned(),
        false => format!("\"{}\"", name.replace('"', "\"\"")),
    }
}

/// Number of a type in `pg_type`, and the modifier that carries its length or precision.
pub(super) fn type_numbers(ty: Type) -> (i64, i64, i64) {
    let modifier = match ty {
        Type::Varchar(max) => i64::from(max) + 4,
        Type::Numeric { precision, scale } => ((i64::from(precision) << 16) | i64::from(scale)) + 4,
        _ => -1,
    };
    let len = match ty {
        Type::Bool => 1,
        Type::SmallInt => 2,
        Type::Integer | Type::Date => 4,
        Type::BigInt | Type::Double | Type::Timestamp | Type::TimestampTz => 8,
        Type::Uuid => 16,
        _ => -1,
    };
    (i64::from(Element::holding(ty).oid()), modifier, len)
}

/// Number of an account: the same on every node, made from the account itself.
pub(super) fn role_oid(account: AccountId) -> i64 {
    let bytes = account.0;
    let mut number = [0; 4];
    number.copy_from_slice(bytes.get(..4).unwrap_or(&[0; 4]));
    match account == AccountId::LEDGER {
        true => 10,
        false => FIRST + i64::from(u32::from_be_bytes(number) >> 1),
    }
}

pub(super) fn role_name(account: AccountId) -> String {
    match account == AccountId::LEDGER {
        true => "stele".to_owned(),
        false => account.to_string(),
    }
}

impl Binder<'_> {
    /// Schemas with their numbers.
    pub(super) fn schemas(&self) -> Vec<(i64, String)> {
        let mut schemas = vec![
            (PG_CATALOG, "pg_catalog".to_owned()),
            (PUBLIC, "public".to_owned()),
            (INFORMATION_SCHEMA, "information_schema".to_owned()),
            (STELE, "stele".to_owned()),
        ];
        let mut others: Vec<&str> = self
            .catalogue
            .tables()
            .map(|table| table.schema.as_str())
            .filter(|schema| schemas.iter().all(|(_, known)| known != schema))
            .collect();
        others.sort_unstable();
        others.dedup();
        for (number, name) in (SCHEMAS..).zip(others) {
            schemas.push((number, name.to_owned()));
        }
        schemas
    }

    pub(super) fn schema_oid(&self, name: &str) -> i64 {
        let schemas = self.schemas();
        schemas
            .iter()
            .find(|(_, schema)| schema == name)
            .map_or(0, |(oid, _)| *oid)
    }

    /// Whether a bare name finds the table.
    pub(super) fn is_visible(&self, table: &Table) -> bool {
        self.find_table(None, &table.name)
            .is_some_and(|found| found.id == table.id)
    }

    /// Accounts the catalogue names, the asking one among them.
    pub(super) fn roles(&self) -> Vec<AccountId> {
        let mut roles: Vec<AccountId> = self
            .catalogue
            .tables()
            .map(|table| table.owner)
            .chain([AccountId::LEDGER, self.context.account])
            .collect();
        roles.sort_unstable();
        roles.dedup();
        roles
    }
}
