//! Who was granted what, as the catalogue shows it.

use stele_core::schema::{Grantee, Kind, Privileges, Table};

use super::objects::role_name;
use super::rows::{Rows, text, texts};
use super::shape::Shape;
use crate::bind::Binder;

/// Words and letters of the privileges on relations, in the order of their bits.
pub(super) const PRIVILEGES: &[(&str, char)] = &[
    ("SELECT", 'r'),
    ("INSERT", 'a'),
    ("UPDATE", 'w'),
    ("DELETE", 'd'),
    ("REFERENCES", 'x'),
    ("USAGE", 'U'),
];

/// The privileges there are on a relation.
fn of_relation(table: &Table) -> impl Iterator<Item = (Privileges, &'static str, char)> {
    let sequence = matches!(table.kind, Kind::Sequence(_));
    let all = PRIVILEGES.iter().enumerate();
    all.map(|(bit, (word, letter))| (Privileges(1 << bit), *word, *letter))
        .filter(move |(_, word, _)| match *word {
            "SELECT" | "UPDATE" => true,
            "USAGE" => sequence,
            _ => !sequence,
        })
}

impl Binder<'_> {
    /// `relacl`: NULL while nothing was ever granted.
    pub(super) fn acl(&self, table: &Table) -> rusqlite::types::Value {
        if table.rights.grants.is_empty() {
            return rusqlite::types::Value::Null;
        }
        let owner = role_name(table.owner);
        let all: String = of_relation(table).map(|(_, _, letter)| letter).collect();
        let mut items = vec![format!("{owner}={all}/{owner}")];
        for grant in &table.rights.grants {
            let letters: String = of_relation(table)
                .filter(|(privilege, _, _)| grant.granted.contains(*privilege))
                .map(
                    |(privilege, _, letter)| match grant.grantable.contains(privilege) {
                        true => format!("{letter}*"),
                        false => letter.to_string(),
                    },
                )
                .collect();
            if !letters.is_empty() {
                let grantee = self.grantee_name(grant.grantee);
                items.push(format!("{grantee}={letters}/{owner}"));
            }
        }
        texts(&items)
    }

    /// `information_schema.table_privileges`, of the tables and views the account may read.
    pub(super) fn table_privileges(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for (table, kind) in self.relations() {
            if kind == "S" || self.check_readable(table).is_err() {
                continue;
            }
            let owner = role_name(table.owner);
            let mut push = |grantee: &str, word: &str, grantable: bool| {
                rows.push(&[
                    ("grantor", text(&owner)),
                    ("grantee", text(grantee)),
                    ("table_catalog", text("stele")),
                    ("table_schema", text(&table.schema)),
                    ("table_name", text(&table.name)),
                    ("privilege_type", text(word)),
                    ("is_grantable", text(if grantable { "YES" } else { "NO" })),
                    ("with_hierarchy", text("NO")),
                ]);
            };
            for (privilege, word, _) in of_relation(table) {
                push(&owner, word, true);
                for grant in &table.rights.grants {
                    if grant.granted.contains(privilege) {
                        let grantee = match grant.grantee {
                            Grantee::Public => "PUBLIC".to_owned(),
                            other => self.grantee_name(other),
                        };
                        push(&grantee, word, grant.grantable.contains(privilege));
                    }
                }
            }
        }
        rows
    }
}
