//! The objects of the catalogue, with the numbers clients know them by.

use stele_core::Type;
use stele_core::account::AccountId;
use stele_core::schema::{ColumnId, ForeignKey, Grantee, IndexPart, Kind, Table};

use crate::bind::Binder;
use crate::system_type::Element;

/// First number of an object that is not built in, as in PostgreSQL.
const FIRST: i64 = 16_384;
/// Numbers kept for what belongs to one table: the table itself, then its indexes.
const EACH: i64 = 1_024;
/// Where numbers of checks and of foreign keys begin among those.
const CHECKS: i64 = 512;
const FOREIGN_KEYS: i64 = 768;

pub(super) const PG_CATALOG: i64 = 11;
pub(super) const PUBLIC: i64 = 2_200;
pub(super) const INFORMATION_SCHEMA: i64 = 13_000;
pub(super) const STELE: i64 = 13_001;
pub(super) const BTREE: i64 = 403;
pub(super) const HEAP: i64 = 2;
pub(super) const DATABASE: i64 = 5;
pub(super) const COLLATION: i64 = 100;
/// The ledger itself as a role.
pub(super) const LEDGER_ROLE: i64 = 10;
/// First number of a system relation.
pub(super) const SYSTEM_RELATIONS: i64 = 10_000;

/// A key of a table: what PostgreSQL keeps as an index, and perhaps a constraint.
pub(super) struct Key<'t> {
    pub(super) oid: i64,
    pub(super) name: &'t str,
    /// What it orders by, each with its column (0 for an expression) and whether downwards.
    pub(super) parts: Vec<(ColumnId, String, bool)>,
    pub(super) predicate: Option<&'t str>,
    pub(super) unique: bool,
    pub(super) primary: bool,
    pub(super) constraint: bool,
}

impl Key<'_> {
    /// As `CREATE INDEX` and constraints list them.
    pub(super) fn shown(&self) -> String {
        let parts: Vec<String> = self.parts.iter().map(shown).collect();
        parts.join(", ")
    }
}

/// A part of an index, as it is written.
pub(super) fn shown((_, text, descending): &(ColumnId, String, bool)) -> String {
    match descending {
        true => format!("{text} DESC"),
        false => text.clone(),
    }
}

/// The letter PostgreSQL gives a relation, or nothing for what is none.
pub(super) fn relation_kind(definition: &Table) -> Option<&'static str> {
    match definition.kind {
        Kind::Table => Some("r"),
        Kind::View(_) => Some("v"),
        Kind::Sequence(_) => Some("S"),
        Kind::Schema | Kind::Role | Kind::Procedure(_) => None,
    }
}

pub(super) fn table_oid(table: &Table) -> i64 {
    FIRST + i64::from(table.id.0) * EACH
}

pub(super) fn check_oid(table: &Table, place: usize) -> i64 {
    table_oid(table) + CHECKS + place as i64
}

pub(super) fn foreign_key_oid(table: &Table, place: usize) -> i64 {
    table_oid(table) + FOREIGN_KEYS + place as i64
}

/// The primary key, then the indexes.
pub(super) fn keys(table: &Table) -> impl Iterator<Item = Key<'_>> {
    let oid = table_oid(table);
    let column = |id: ColumnId| (id, column_names(table, &[id]), false);
    let primary = Key {
        oid: oid + 1,
        name: &table.primary_key_name,
        parts: table.primary_key.iter().copied().map(column).collect(),
        predicate: None,
        unique: true,
        primary: true,
        constraint: true,
    };
    let others = table.indexes.iter().zip(2..).map(move |(index, place)| {
        let parts = index.keys.iter().map(|key| match &key.part {
            IndexPart::Column(id) => (*id, column_names(table, &[*id]), key.descending),
            // As in PostgreSQL, a part that is an expression stands as column 0.
            IndexPart::Expression(text) => (ColumnId(0), format!("({text})"), key.descending),
        });
        Key {
            oid: oid + place,
            name: &index.name,
            parts: parts.collect(),
            predicate: index.predicate.as_deref(),
            unique: index.unique,
            primary: false,
            constraint: index.constraint,
        }
    });
    let is_shown = table.kind == Kind::Table && !table.has_hidden_key();
    is_shown.then_some(primary).into_iter().chain(others)
}

/// The key of the table referred to that a foreign key relies on.
pub(super) fn referenced_key<'t>(target: &'t Table, key: &ForeignKey) -> Option<Key<'t>> {
    keys(target).find(|candidate| {
        candidate.unique
            && candidate.predicate.is_none()
            && candidate.parts.len() == key.referenced.len()
            && key
                .referenced
                .iter()
                .all(|id| candidate.parts.iter().any(|(part, _, _)| part == id))
    })
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
        Type::Varchar(max) | Type::Char(max) => i64::from(max) + 4,
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
        true => LEDGER_ROLE,
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
    /// Tables, views and sequences, with the letter PostgreSQL gives their kind.
    pub(super) fn relations(&self) -> impl Iterator<Item = (&Table, &'static str)> {
        self.catalogue
            .definitions()
            .filter_map(|definition| Some((definition.as_ref(), relation_kind(definition)?)))
    }

    /// Schemas: number, name, number of the owner.
    pub(super) fn schemas(&self) -> Vec<(i64, &str, i64)> {
        let mut schemas = vec![
            (PG_CATALOG, "pg_catalog", LEDGER_ROLE),
            (PUBLIC, "public", LEDGER_ROLE),
            (INFORMATION_SCHEMA, "information_schema", LEDGER_ROLE),
            (STELE, "stele", LEDGER_ROLE),
        ];
        for definition in self.catalogue.definitions() {
            if definition.kind == Kind::Schema {
                let owner = role_oid(definition.owner);
                schemas.push((table_oid(definition), &definition.name, owner));
            }
        }
        schemas
    }

    pub(super) fn schema_oid(&self, name: &str) -> i64 {
        let schemas = self.schemas();
        schemas
            .iter()
            .find(|(_, schema, _)| *schema == name)
            .map_or(0, |(oid, _, _)| *oid)
    }

    /// Whether a bare name finds the table.
    pub(super) fn is_visible(&self, table: &Table) -> bool {
        self.find_table(None, &table.name)
            .is_some_and(|found| found.id == table.id)
    }

    /// Accounts the catalogue names, the asking one among them, and roles: number, name, whether it
    /// is an account.
    pub(super) fn roles(&self) -> Vec<(i64, String, bool)> {
        let mut accounts = vec![AccountId::LEDGER, self.context.account];
        for definition in self.catalogue.definitions() {
            accounts.push(definition.owner);
            let grants = definition.rights.grants.iter();
            accounts.extend(grants.filter_map(|grant| match grant.grantee {
                Grantee::Account(account) => Some(account),
                Grantee::Public | Grantee::Role(_) => None,
            }));
            let policies = definition.rights.policies.iter();
            accounts.extend(
                policies
                    .flat_map(|policy| &policy.grantees)
                    .filter_map(|grantee| match grantee {
                        Grantee::Account(account) => Some(*account),
                        Grantee::Public | Grantee::Role(_) => None,
                    }),
            );
        }
        accounts.sort_unstable();
        accounts.dedup();
        let accounts = accounts.into_iter();
        let mut roles: Vec<_> = accounts
            .map(|account| (role_oid(account), role_name(account), true))
            .collect();
        for definition in self.catalogue.definitions() {
            if definition.kind == Kind::Role {
                roles.push((table_oid(definition), definition.name.clone(), false));
            }
        }
        roles
    }

    /// The name of whom something was granted to; empty for PUBLIC.
    pub(super) fn grantee_name(&self, grantee: Grantee) -> String {
        match grantee {
            Grantee::Public => String::new(),
            Grantee::Account(account) => role_name(account),
            Grantee::Role(id) => self
                .catalogue
                .table(id)
                .map_or_else(String::new, |role| role.name.clone()),
        }
    }
}
