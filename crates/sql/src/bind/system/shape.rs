//! The columns PostgreSQL 15's system relations have, so that clients find each under its name.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use stele_core::Type;

use crate::bind::expression::Ty;
use crate::system_type::{Element, SystemType};

/// A line a relation: `schema.name column type,column type…`, blanks in types written `_`.
const SHAPES: &str = include_str!("shapes.txt");

/// The columns of one relation.
pub(in crate::bind) struct Shape {
    pub(super) schema: &'static str,
    pub(super) name: &'static str,
    pub(super) columns: Vec<(&'static str, Ty)>,
}

static BY_NAME: LazyLock<BTreeMap<&'static str, Shape>> = LazyLock::new(|| {
    SHAPES
        .lines()
        .filter_map(|line| {
            let (full, columns) = line.split_once(' ')?;
            let (schema, name) = full.split_once('.')?;
            let columns = columns
                .split(',')
                .filter_map(|column| {
                    let (name, ty) = column.split_once(' ')?;
                    Some((name, ty_of(ty)))
                })
                .collect();
            let shape = Shape {
                schema,
                name,
                columns,
            };
            Some((full, shape))
        })
        .collect()
});

/// All relations.
pub(super) fn all() -> impl Iterator<Item = &'static Shape> {
    BY_NAME.values()
}

/// The relation of that name.
pub(super) fn find(schema: &str, name: &str) -> Option<&'static Shape> {
    BY_NAME.get(format!("{schema}.{name}").as_str())
}

impl Shape {
    pub(super) fn place(&self, column: &str) -> Option<usize> {
        self.columns.iter().position(|(name, _)| *name == column)
    }
}

fn ty_of(name: &str) -> Ty {
    Ty::Of(match name {
        "boolean" => Type::Bool,
        "smallint" => Type::SmallInt,
        "integer" | "information_schema.cardinal_number" => Type::Integer,
        "bigint" => Type::BigInt,
        "real" | "double_precision" => Type::Double,
        "timestamp_with_time_zone" | "information_schema.time_stamp" => Type::TimestampTz,
        other => match system(other) {
            Some(system) => return Ty::System(system),
            None => Type::Text,
        },
    })
}

fn system(name: &str) -> Option<SystemType> {
    Some(match name {
        "oid" => SystemType::Oid,
        "xid" => SystemType::Xid,
        "name" | "information_schema.sql_identifier" => SystemType::Name,
        "\"char\"" => SystemType::Char,
        "regproc" => SystemType::Regproc,
        "regtype" => SystemType::Regtype,
        "int2vector" => SystemType::Int2Vector,
        "oidvector" => SystemType::OidVector,
        "smallint[]" => SystemType::Array(Element::SmallInt),
        "oid[]" => SystemType::Array(Element::Oid),
        "name[]" => SystemType::Array(Element::Name),
        "\"char\"[]" => SystemType::Array(Element::Char),
        "text[]" | "aclitem[]" => SystemType::Array(Element::Text),
        _ => return None,
    })
}
