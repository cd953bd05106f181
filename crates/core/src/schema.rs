//! Table definitions: what the catalogue holds and the state tree commits to.

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
/// First table id a user's table gets; lower ids are built-in tables.
pub const FIRST_USER_TABLE: TableId = TableId(1_000);

/// Identity of a table for ever; dropping and creating a name gives a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId(pub u32);

/// Identity of a column inside its table for ever; renaming keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(pub u16);

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
    /// The value rows older than the column have: what ADD COLUMN's default gave. Rows leave it out.
    pub missing: Value,
    /// CONFIDENTIAL: opaque bytes to the executor. Reserved in version 1.
    pub confidential: bool,
    /// ERASABLE: the row holds a commitment. Reserved in version 1.
    pub erasable: bool,
}

/// A UNIQUE constraint or a plain index.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    /// Name, unique in the schema.
    pub name: String,
    /// Columns in index order.
    pub columns: Vec<ColumnId>,
    /// Whether it forbids equal keys.
    pub unique: bool,
}

/// A CHECK constraint.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Name, unique in the table.
    pub name: String,
    /// Boolean expression, PostgreSQL text as normalised by the binder.
    pub expression: String,
}

/// One table of the catalogue.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Identity.
    pub id: TableId,
    /// Schema (namespace), such as `public`.
    pub schema: String,
    /// Name, unique in the schema.
    pub name: String,
    /// Who owns it.
    pub owner: AccountId,
    /// Columns in order of their place (that is also id order).
    pub columns: Vec<Column>,
    /// Primary key columns in key order; never empty.
    pub primary_key: Vec<ColumnId>,
    /// Name of the primary key constraint.
    pub primary_key_name: String,
    /// UNIQUE constraints and indexes in order of creation.
    pub indexes: Vec<Index>,
    /// CHECK constraints in order of creation.
    pub checks: Vec<Check>,
    /// Whether row hashes are salted.
    pub salted: bool,
    /// The id the next added column gets; ids are never used again.
    pub next_column: ColumnId,
}

impl Table {
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
        self.owner.encode(out);
        put_list(out, &self.columns);
        put_list(out, &self.primary_key);
        put_bytes(out, self.primary_key_name.as_bytes());
        put_list(out, &self.indexes);
        put_list(out, &self.checks);
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
            owner: AccountId::decode(reader)?,
            columns: reader.list("columns", COLUMNS_MAX)?,
            primary_key: reader.list("primary key columns", COLUMNS_MAX)?,
            primary_key_name: reader.text("constraint name", NAME_LEN_MAX)?,
            indexes: reader.list("indexes", CONSTRAINTS_MAX)?,
            checks: reader.list("checks", CONSTRAINTS_MAX)?,
            salted: reader.bool()?,
            next_column: ColumnId::decode(reader)?,
        };
        if !table.columns.is_sorted_by(|a, b| a.id < b.id) {
            return Err(DecodeError::Invalid("columns are not in id order"));
        }
        if table.primary_key.is_empty() {
            return Err(DecodeError::Invalid("a table has no primary key"));
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
        Ok(Self(reader.text("expression", EXPRESSION_LEN_MAX)?))
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
        self.missing.encode(out);
        out.push(u8::from(self.confidential));
        out.push(u8::from(self.erasable));
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
            missing: Value::decode(reader)?,
            confidential: reader.bool()?,
            erasable: reader.bool()?,
        })
    }
}

impl Encode for Index {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put_list(out, &self.columns);
        out.push(u8::from(self.unique));
    }
}

impl Decode for Index {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.text("index name", NAME_LEN_MAX)?,
            columns: reader.list("index columns", COLUMNS_MAX)?,
            unique: reader.bool()?,
        })
    }
}

impl Encode for Check {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.name.as_bytes());
        put_bytes(out, self.expression.as_bytes());
    }
}

impl Decode for Check {
    fn decode(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            name: reader.text("check name", NAME_LEN_MAX)?,
            expression: reader.text("check expression", EXPRESSION_LEN_MAX)?,
        })
    }
}
