//! Who may do what with a definition: grants, and policies on rows.

use crate::account::AccountId;
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list, put_option};

use super::{COLUMNS_MAX, CONSTRAINTS_MAX, ColumnId, NAME_LEN_MAX, TableId, Text};

/// Most grantees of a definition.
pub const GRANTS_MAX: usize = 10_000;

/// Who a grant or policy is for. In order: PUBLIC, accounts, roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grantee {
    /// Everyone.
    Public,
    /// One account.
    Account(AccountId),
    /// The members of a role.
    Role(TableId),
}

/// A set of privileges, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Privileges(pub u16);

impl Privileges {
    /// Read rows.
    pub const SELECT: Self = Self(1);
    /// Add rows.
    pub const INSERT: Self = Self(1 << 1);
    /// Change rows; of a sequence, `nextval` and `setval`.
    pub const UPDATE: Self = Self(1 << 2);
    /// Remove rows.
    pub const DELETE: Self = Self(1 << 3);
    /// Name it in a foreign key.
    pub const REFERENCES: Self = Self(1 << 4);
    /// Look into a schema; of a sequence, `nextval` and `currval`.
    pub const USAGE: Self = Self(1 << 5);
    /// Create in a schema.
    pub const CREATE: Self = Self(1 << 6);
    /// Call a procedure.
    pub const EXECUTE: Self = Self(1 << 7);
    /// Be a member of a role.
    pub const MEMBER: Self = Self(1 << 8);
    const KNOWN: u16 = (1 << 9) - 1;

    /// Whether all of `other` are among them.
    #[must_use]
    pub fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether one of `other` is among them.
    #[must_use]
    pub fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// With those of `other`.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Without those of `other`.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// What one grantee may and may not do. A personal record overrides PUBLIC's, privilege by privilege.
#[derive(Clone, Debug, PartialEq)]
pub struct Grant {
    /// Who.
    pub grantee: Grantee,
    /// What was granted.
    pub granted: Privileges,
    /// What of it the grantee may grant on.
    pub grantable: Privileges,
    /// What was revoked: denied whatever PUBLIC may do.
    pub denied: Privileges,
    /// What was granted on single columns, in id order.
    pub columns: Vec<ColumnGrant>,
}

/// What was granted on a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ColumnGrant {
    /// The column.
    pub column: ColumnId,
    /// What was granted.
    pub granted: Privileges,
    /// What of it the grantee may grant on.
    pub grantable: Privileges,
}

/// Whether row policies hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowSecurity {
    /// They do not.
    #[default]
    Off,
    /// For all but the owner.
    Enabled,
    /// For the owner, too.
    Forced,
}

/// The statements a policy is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyCommand {
    /// All.
    All,
    /// SELECT.
    Select,
    /// INSERT.
    Insert,
    /// UPDATE.
    Update,
    /// DELETE.
    Delete,
}

/// A row policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Name, unique in the table.
    pub name: String,
    /// Statements it is about.
    pub command: PolicyCommand,
    /// Permissive ones are joined by OR, restrictive ones by AND.
    pub permissive: bool,
    /// Whom it is for; never empty, in order.
    pub grantees: Vec<Grantee>,
    /// Which rows are there.
    pub using: Option<String>,
    /// Which rows may come to be.
    pub check: Option<String>,
    /// Values a new row gets whatever was given.
    pub forced: Vec<(ColumnId, String)>,
    /// The only columns that may be given or changed.
    pub columns: Option<Vec<ColumnId>>,
    /// Most rows the table may hold that the policy lets see.
    pub quota: Option<u64>,
}

/// All that is said of who may do what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rights {
    /// In order of grantee.
    pub grants: Vec<Grant>,
    /// Whether policies hold.
    pub row_security: RowSecurity,
    /// In order of creation.
    pub policies: Vec<Policy>,
}

impl Encode for Rights {
    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.grants);
        out.push(match self.row_security {
            RowSecurity::Off => 0,
            RowSecurity::Enabled => 1,
            RowSecurity::Forced => 2,
        });
        put_list(out, &self.policies);
    }
}

impl Decode for Rights {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let grants: Vec<Grant> = reader.list("grants", GRANTS_MAX)?;
        if !grants.is_sorted_by(|a, b| a.grantee < b.grantee) {
            return Err(DecodeError::Invalid("grants are not in order"));
        }
        Ok(Self {
            grants,
            row_security: match reader.u8()? {
                0 => RowSecurity::Off,
                1 => RowSecurity::Enabled,
                2 => RowSecurity::Forced,
                _ => return Err(DecodeError::Invalid("unknown row security")),
            },
            policies: reader.list("policies", CONSTRAINTS_MAX)?,
        })
    }
}

impl Encode for Grantee {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Public => out.push(0),
            Self::Account(account) => {
                out.push(1);
                account.encode(out);
            }
            Self::Role(role) => {
                out.push(2);
                role.encode(out);
            }
        }
    }
}

impl Decode for Grantee {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match reader.u8()? {
            0 => Self::Public,
            1 => Self::Account(AccountId::decode(reader)?),
            2 => Self::Role(TableId::decode(reader)?),
            _ => return Err(DecodeError::Invalid("unknown kind of grantee")),
        })
    }
}

impl Encode for Privileges {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl Decode for Privileges {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = reader.u16()?;
        if bits & !Self::KNOWN != 0 {
            return Err(DecodeError::Invalid("unknown privilege"));
        }
        Ok(Self(bits))
    }
}

impl Encode for Grant {
    fn encode(&self, out: &mut Vec<u8>) {
        self.grantee.encode(out);
        self.granted.encode(out);
        self.grantable.encode(out);
        self.denied.encode(out);
        put_list(out, &self.columns);
    }
}

impl Decode for Grant {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let grant = Self {
            grantee: Grantee::decode(reader)?,
            granted: Privileges::decode(reader)?,
            grantable: Privileges::decode(reader)?,
            denied: Privileges::decode(reader)?,
            columns: reader.list("column grants", COLUMNS_MAX)?,
        };
        if !grant.columns.is_sorted_by(|a, b| a.column < b.column) {
            return Err(DecodeError::Invalid("column grants are not in id order"));
        }
        Ok(grant)
    }
}

impl Encode for ColumnGrant {
    fn encode(&self, out: &mut Vec<u8>) {
        self.column.encode(out);
        self.granted.encode(out);
        self.grantable.encode(out);
    }
}

impl Decode for ColumnGrant {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            column: ColumnId::decode(reader)?,
            granted: Privileges::decode(reader)?,
            grantable: Privileges::decode(reader)?,
        })
    }
}

impl Encode for Policy {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        out.push(match self.command {
            PolicyCommand::All => 0,
            PolicyCommand::Select => 1,
            PolicyCommand::Insert => 2,
            PolicyCommand::Update => 3,
            PolicyCommand::Delete => 4,
        });
        out.push(u8::from(self.permissive));
        put_list(out, &self.grantees);
        put_option(out, self.using.clone().map(Text).as_ref());
        put_option(out, self.check.clone().map(Text).as_ref());
        put_list(
            out,
            &self.forced.iter().cloned().map(Forced).collect::<Vec<_>>(),
        );
        put_option(out, self.columns.clone().map(Columns).as_ref());
        put_option(out, self.quota.map(Quota).as_ref());
    }
}

impl Decode for Policy {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let policy = Self {
            name: reader.text("policy name", NAME_LEN_MAX)?,
            command: match reader.u8()? {
                0 => PolicyCommand::All,
                1 => PolicyCommand::Select,
                2 => PolicyCommand::Insert,
                3 => PolicyCommand::Update,
                4 => PolicyCommand::Delete,
                _ => return Err(DecodeError::Invalid("unknown command of a policy")),
            },
            permissive: reader.bool()?,
            grantees: reader.list("grantees", GRANTS_MAX)?,
            using: reader.option::<Text>()?.map(|text| text.0),
            check: reader.option::<Text>()?.map(|text| text.0),
            forced: reader
                .list::<Forced>("forced values", COLUMNS_MAX)?
                .into_iter()
                .map(|forced| forced.0)
                .collect(),
            columns: reader.option::<Columns>()?.map(|columns| columns.0),
            quota: reader.option::<Quota>()?.map(|quota| quota.0),
        };
        if policy.grantees.is_empty() || !policy.grantees.is_sorted_by(|a, b| a < b) {
            return Err(DecodeError::Invalid("grantees are not in order"));
        }
        Ok(policy)
    }
}

struct Forced((ColumnId, String));

impl Encode for Forced {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.0.encode(out);
        Text(self.0.1.clone()).encode(out);
    }
}

impl Decode for Forced {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self((ColumnId::decode(reader)?, Text::decode(reader)?.0)))
    }
}

struct Columns(Vec<ColumnId>);

impl Encode for Columns {
    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, &self.0);
    }
}

impl Decode for Columns {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.list("columns", COLUMNS_MAX)?))
    }
}

struct Quota(u64);

impl Encode for Quota {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl Decode for Quota {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.u64()?))
    }
}
