//! This node's users in statements: the ledger knows accounts only.

use std::borrow::Cow;

use stele_sql::SqlError;

use crate::node::Node;

impl Node {
    /// A statement's text with accounts in the place of this node's users in GRANT, REVOKE and the like:
    /// the ledger knows accounts only.
    ///
    /// # Errors
    /// 42710 when a role is to get the name of a user, 42P09 when a name is both a user's and a role's:
    /// who of them is meant must not depend on which came first.
    pub fn with_accounts<'t>(&self, sql: &'t str) -> Result<Cow<'t, str>, SqlError> {
        // One whose key was made a moment ago, too.
        let user = |name: &str| self.inner.keys.find(name).ok();
        if let Some(name) = stele_sql::parse::new_role(sql)
            && user(&name).is_some()
        {
            return Err(SqlError::new(
                "42710",
                format!("\"{name}\" is the name of a user of this node"),
            )
            .hint("Give the role another name: grants to it would mean the user."));
        }
        let catalogue = self.inner.readers.catalogue();
        let ambiguous = std::cell::RefCell::new(None);
        let account = |name: &str| {
            let user = user(name)?;
            if catalogue
                .named(stele_core::schema::Class::Role, "", name)
                .is_some()
            {
                ambiguous.replace(Some(name.to_owned()));
            }
            Some(user.account)
        };
        let replaced = stele_sql::parse::with_accounts(sql, account);
        if let Some(name) = ambiguous.into_inner() {
            return Err(SqlError::new(
                "42P09",
                format!("\"{name}\" is both a role and a user of this node"),
            )
            .hint(format!(
                "For the user write the account that `stele keys list` shows, or DROP ROLE \"{name}\"."
            )));
        }
        Ok(replaced.map_or(Cow::Borrowed(sql), Cow::Owned))
    }
}
