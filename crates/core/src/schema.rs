//! Definitions: what the catalogue holds and the state tree commits to. Most are of tables, so a
//! definition is called a [`Table`]; its [`Kind`] says what else it may be.

mod constraint;
mod kind;
mod rights;

pub use constraint::{Action, Check, ForeignKey, Index, IndexKey, IndexPart, Timing};
pub use kind::{Class, Kind, PROCEDURE_MAX, Procedure, READS_MAX, SEARCH_PATH_MAX, Sequence, View};
pub use rights::{
    ColumnGrant, GRANTS_MAX, Grant, Grantee, Policy, PolicyCommand, Privileges, Rights, RowSecurity,
};

use crate::account::AccountId;
use crate::codec::{Decode, DecodeError, Encode, Reader, put_bytes, put_list, put_option};
use crate::hash::{Domain, Hash, Suite};
use crate::value::{Type, Value};

/// Longest name, in bytes (PostgreSQL's own bound).
pub const NAME_LEN_MAX: usize = 63;
/// Most columns a table can have over its life.
pub const COLUMNS_MAX: usize = 1_000;
/// Most constraints and indexes of a table.
pub const CONSTRAINTS_MAX: usize = 256;
/// Longest expression text in a definition, in bytes.
pub const EXPRESSION_LEN_MAX: usize = 16 * 1024;
/// Longest query or statement text in a definition, in bytes.
pub const QUERY_LEN_MAX: usize = 64 * 1024;
/// Name of the column of [`ColumnId::ROW`].
pub const ROW_ID_NAME: &str = "stele_rowid";
/// First table id a user's table gets; lower ids are built-in tables.
pub const FIRST_USER_TABLE: TableId = TableId(1_000);

/// Identity of a table for ever; dropping and creating a name gives a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// Identity of a column inside its table for ever; renaming keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

impl ColumnId {
    /// The key of a table that was declared without one: a UUID each row gets when it is inserted
    /// (the transaction's time in microseconds, 8 bytes; the first 4 of its seed; the number of such rows
    /// the transaction inserted before, 4 bytes). No statement shows or sets it unasked.
    pub const ROW: Self = Self(u16::MAX);
}

/// One column.
#[derive(Clone, Debug, PartialEq)]
pub struct Column {
    /// Identity.
    pub id: ColumnId,
    /// Name, lower case unless it was quoted.
    pub name: String,
    /// Type.
    pub ty: Type,
    /// NOT NULL (always so for primary key columns).
    pub not_null: bool,
    /// DEFAULT expression, PostgreSQL text as normalised by the binder.
    pub default: Option<String>,
    /// GENERATED … AS IDENTITY.
    pub identity: Option<Identity>,
    /// GENERATED ALWAYS AS (…) STORED. Reserved in version 1.
    pub generated: Option<String>,
    /// The value rows older than the column have: what ADD COLUMN's default gave. Rows leave it out.
    pub missing: Value,
    /// CONFIDENTIAL: opaque bytes to the executor. Reserved in version 1.
    pub confidential: bool,
    /// ERASABLE: the row holds a commitment. Reserved in version 1.
    pub erasable: bool,
    /// COMMENT ON COLUMN.
    pub comment: Option<String>,
}

/// Where an identity column's values come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// GENERATED ALWAYS: no value may be given.
    pub always: bool,
    /// The sequence.
    pub sequence: TableId,
}

/// One definition of the catalogue: a table, or what its kind says.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Identity.
    pub id: TableId,
    /// Schema (namespace), such as `public`.
    pub schema: String,
    /// Name, unique in the schema among its class.
    pub name: String,
    /// What it stands for.
    pub kind: Kind,
    /// Who owns it.
    pub owner: AccountId,
    /// Columns in order of their place (that is also id order).
    pub columns: Vec<Column>,
    /// Primary key columns in key order; empty exactly where no rows are kept.
    pub primary_key: Vec<ColumnId>,
    /// Name of the primary key constraint.
    pub primary_key_name: String,
    /// UNIQUE constraints and indexes in order of creation.
    pub indexes: Vec<Index>,
    /// CHECK constraints in order of creation.
    pub checks: Vec<Check>,
    /// Foreign keys in order of creation.
    pub foreign_keys: Vec<ForeignKey>,
    /// Who may do what.
    pub rights: Rights,
    /// COMMENT ON it.
    pub comment: Option<String>,
    /// Whether row hashes are salted.
    pub salted: bool,
    /// The id the next added column gets; ids are never used again.
    pub next_column: ColumnId,
}

impl Column {
    /// A column that may be NULL, without default.
    #[must_use]
    pub fn plain(id: ColumnId, name: String, ty: Type) -> Self {
        Self {
            id,
            name,
            ty,
            not_null: false,
            default: None,
            identity: None,
            generated: None,
            missing: Value::Null,
            confidential: false,
            erasable: false,
            comment: None,
        }
    }
}

impl Table {
    /// A table without constraints but its primary key, whose columns become NOT NULL.
    #[must_use]
    pub fn plain(
        id: TableId,
        (schema, name): (&str, &str),
        owner: AccountId,
        mut columns: Vec<Column>,
        primary_key: Vec<ColumnId>,
    ) -> Self {
        for column in &mut columns {
            column.not_null |= primary_key.contains(&column.id);
        }
        let last = columns.last().map_or(0, |column| column.id.0);
        Self {
            id,
            schema: schema.to_owned(),
            name: name.to_owned(),
            kind: Kind::Table,
            owner,
            columns,
            primary_key,
            primary_key_name: format!("{name}_pkey"),
            indexes: Vec::new(),
            checks: Vec::new(),
            foreign_keys: Vec::new(),
            rights: Rights::default(),
            comment: None,
            salted: false,
            next_column: ColumnId(last.saturating_add(1)),
        }
    }

    /// Whether it was declared without a primary key: its rows are told apart by [`ColumnId::ROW`].
    #[must_use]
    pub fn has_hidden_key(&self) -> bool {
        self.primary_key == [ColumnId::ROW]
    }

    /// The columns it was declared with, in order of their place.
    pub fn declared_columns(&self) -> impl Iterator<Item = &Column> + Clone {
        self.columns
            .iter()
            .filter(|column| column.id != ColumnId::ROW)
    }

    /// Gives it a key of its own, hidden.
    pub fn add_hidden_key(&mut self, constraint: String) {
        let mut key = Column::plain(ColumnId::ROW, ROW_ID_NAME.to_owned(), Type::Uuid);
        key.not_null = true;
        self.columns.push(key);
        self.primary_key = vec![ColumnId::ROW];
        self.primary_key_name = constraint;
    }

    /// Takes the hidden key out again: another takes its place.
    pub fn remove_hidden_key(&mut self) {
        self.columns.retain(|column| column.id != ColumnId::ROW);
        self.primary_key.clear();
    }

    /// The column of that id.
    #[must_use]
    pub fn column(&self, id: ColumnId) -> Option<&Column> {
        self.columns.iter().find(|column| column.id == id)
    }

    /// The column of that name.
    #[must_use]
    pub fn column_named(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The digest the top tree carries for this definition.
    #[must_use]
    pub fn hash(&self, suite: Suite) -> Hash {
        suite.hash_of(Domain::Table, self)
    }
}

const TABLE_VERSION: u8 = 1;

impl Encode for Table {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(TABLE_VERSION);
        out.extend_from_slice(&self.id.0.to_be_bytes());
        put_bytes(out, self.schema.as_bytes());
        put_bytes(out, self.name.as_bytes());
        self.kind.encode(out);
        self.owner.encode(out);
        put_list(out, &self.columns);
        put_list(out, &self.primary_key);
        put_bytes(out, self.primary_key_name.as_bytes());
        put_list(out, &self.indexes);
        put_list(out, &self.checks);
        put_list(out, &self.foreign_keys);
        self.rights.encode(out);
        put_option(out, self.comment.clone().map(Text).as_ref());
        out.push(u8::from(self.salted));
        self.next_column.encode(out);
    }
}

impl Decode for Table {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        reader.version("table definition", TABLE_VERSION)?;
        let table = Self {
            id: TableId(reader.u32()?),
            schema: reader.text("schema name", NAME_LEN_MAX)?,
            name: reader.text("table name", NAME_LEN_MAX)?,
            kind: Kind::decode(reader)?,
            owner: AccountId::decode(reader)?,
            columns: reader.list("columns", COLUMNS_MAX)?,
            primary_key: reader.list("primary key columns", COLUMNS_MAX)?,
            primary_key_name: reader.text("constraint name", NAME_LEN_MAX)?,
            indexes: reader.list("indexes", CONSTRAINTS_MAX)?,
            checks: reader.list("checks", CONSTRAINTS_MAX)?,
            foreign_keys: reader.list("foreign keys", CONSTRAINTS_MAX)?,
            rights: Rights::decode(reader)?,
            comment: reader.option::<Text>()?.map(|text| text.0),
            salted: reader.bool()?,
            next_column: ColumnId::decode(reader)?,
        };
        if !table.columns.is_sorted_by(|a, b| a.id < b.id) {
            return Err(DecodeError::Invalid("columns are not in id order"));
        }
        if table.primary_key.is_empty() == table.kind.has_rows() {
            return Err(DecodeError::Invalid(
                "a primary key is missing, or one too many",
            ));
        }
        Ok(table)
    }
}

impl Encode for TableId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl Decode for TableId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.u32()?))
    }
}

impl Encode for ColumnId {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }
}

impl Decode for ColumnId {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.u16()?))
    }
}

struct Text(String);

impl Decode for Text {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self(reader.text("text of a definition", QUERY_LEN_MAX)?))
    }
}

impl Encode for Text {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.0.as_bytes());
    }
}

impl Encode for Column {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        put_bytes(out, self.name.as_bytes());
        self.ty.encode(out);
        out.push(u8::from(self.not_null));
        put_option(out, self.default.clone().map(Text).as_ref());
        put_option(out, self.identity.as_ref());
        put_option(out, self.generated.clone().map(Text).as_ref());
        self.missing.encode(out);
        out.push(u8::from(self.confidential));
        out.push(u8::from(self.erasable));
        put_option(out, self.comment.clone().map(Text).as_ref());
    }
}

impl Decode for Column {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            id: ColumnId::decode(reader)?,
            name: reader.text("column name", NAME_LEN_MAX)?,
            ty: Type::decode(reader)?,
            not_null: reader.bool()?,
            default: reader.option::<Text>()?.map(|text| text.0),
            identity: reader.option()?,
            generated: reader.option::<Text>()?.map(|text| text.0),
            missing: Value::decode(reader)?,
            confidential: reader.bool()?,
            erasable: reader.bool()?,
            comment: reader.option::<Text>()?.map(|text| text.0),
        })
    }
}

impl Encode for Identity {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(self.always));
        self.sequence.encode(out);
    }
}

impl Decode for Identity {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            always: reader.bool()?,
            sequence: TableId::decode(reader)?,
        })
    }
}
