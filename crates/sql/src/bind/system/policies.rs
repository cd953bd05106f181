//! Row policies, as the catalogue shows them.

use rusqlite::types::Value;
use stele_core::schema::{Grantee, PolicyCommand};

use super::objects::{role_oid, table_oid};
use super::rows::{Rows, int, numbers, text, truth};
use super::shape::Shape;
use crate::bind::Binder;

/// Where the numbers of policies begin among those of a table.
const POLICIES: i64 = 256;

impl Binder<'_> {
    pub(super) fn pg_policy(&self, shape: &'static Shape) -> Rows {
        let mut rows = Rows::new(shape);
        for table in self.catalogue.tables() {
            let oid = table_oid(table);
            for (policy, number) in table.rights.policies.iter().zip(oid + POLICIES..) {
                let command = match policy.command {
                    PolicyCommand::All => "*",
                    PolicyCommand::Select => "r",
                    PolicyCommand::Insert => "a",
                    PolicyCommand::Update => "w",
                    PolicyCommand::Delete => "d",
                };
                let roles = policy.grantees.iter().map(|grantee| match grantee {
                    Grantee::Public => 0,
                    Grantee::Account(account) => role_oid(*account),
                    Grantee::Role(id) => {
                        self.catalogue.table(*id).map_or(0, |role| table_oid(role))
                    }
                });
                let shown = |condition: &Option<String>| match condition {
                    Some(condition) => text(&format!("({condition})")),
                    None => Value::Null,
                };
                rows.push(&[
                    ("oid", int(number)),
                    ("polname", text(&policy.name)),
                    ("polrelid", int(oid)),
                    ("polcmd", text(command)),
                    ("polpermissive", truth(policy.permissive)),
                    ("polroles", numbers(roles)),
                    ("polqual", shown(&policy.using)),
                    ("polwithcheck", shown(&policy.check)),
                ]);
            }
        }
        rows
    }
}
