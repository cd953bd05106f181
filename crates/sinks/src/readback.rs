//! What all databases share when they are read back: rows made of their columns, and shapes compared.

use stele_core::Value;
use stele_flow::{Column, ReadRow, Table};

/// A row, from what each of its columns gave: a value, or what stands there and why it is none.
pub(crate) fn row(table: &Table, columns: impl Iterator<Item = Result<Value, String>>) -> ReadRow {
    let mut values = Vec::with_capacity(table.columns.len());
    let mut wrong = None;
    for (column, read) in table.columns.iter().zip(columns) {
        match read {
            Ok(value) => values.push(value),
            Err(found) => {
                values.push(Value::Null);
                wrong.get_or_insert((column.name.clone(), found));
            }
        }
    }
    let Some((column, found)) = wrong else {
        return ReadRow::Values(values);
    };
    let key: Vec<Value> = table.key_of(&values).into_iter().cloned().collect();
    ReadRow::Unreadable {
        key: Some(key).filter(|key| key.iter().all(|value| !value.is_null())),
        column,
        found,
    }
}

/// A number as it was read. -0 is another than 0 to whoever looks at it, and the ledger has none.
pub(crate) fn double(value: f64) -> Result<Value, String> {
    match value == 0.0 && value.is_sign_negative() {
        true => Err("-0, which is written 0 here".to_owned()),
        false => Ok(Value::Double(value)),
    }
}

/// A column as the database has it.
pub(crate) struct FoundColumn {
    pub(crate) name: String,
    /// Its type, as the database writes it.
    pub(crate) ty: String,
    /// Its place in the primary key, from 0.
    pub(crate) key: Option<usize>,
    /// Its collation, where it has one that matters.
    pub(crate) collation: Option<String>,
}

/// In which ways the columns found are not those of the table.
pub(crate) fn differences(
    table: &Table,
    found: &[FoundColumn],
    wanted_type: impl Fn(&Column) -> String,
    wanted_collation: &str,
) -> Vec<String> {
    let mut told = Vec::new();
    for column in &table.columns {
        let name = &column.name;
        let Some(there) = found.iter().find(|there| there.name == *name) else {
            told.push(format!("column {name} is not there"));
            continue;
        };
        let wanted = wanted_type(column);
        let other = there
            .collation
            .as_ref()
            .filter(|collation| *collation != wanted_collation);
        if there.ty != wanted {
            told.push(format!("column {name} is {} instead of {wanted}", there.ty));
        } else if let Some(collation) = other {
            told.push(format!(
                "column {name} has the collation {collation} instead of {wanted_collation}"
            ));
        } else if there.key != table.key.iter().position(|id| *id == column.id) {
            told.push(format!(
                "column {name} has another place in the primary key"
            ));
        }
    }
    for there in found {
        if table.columns.iter().all(|known| known.name != there.name) {
            told.push(format!("column {} was added", there.name));
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn minus_nought_is_another_content() {
        assert_eq!(double(0.0), Ok(Value::Double(0.0)));
        assert_eq!(double(-1.5), Ok(Value::Double(-1.5)));
        assert!(double(-0.0).is_err());
    }
}
