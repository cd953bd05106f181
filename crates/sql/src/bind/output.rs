//! What PostgreSQL calls a column that was given no name.

use sqlparser::ast::{CastKind, Expr};

use super::name::folded;
use super::type_name::type_name;
use crate::bind::expression::Ty;

const UNNAMED: &str = "?column?";

/// The name of a select-list item without AS.
pub(super) fn column_label(tree: &Expr) -> String {
    label(tree).unwrap_or_else(|| UNNAMED.to_owned())
}

/// What PostgreSQL calls a column that is cast to a type; of an array, after its elements.
fn short_name(ty: Ty) -> String {
    match ty {
        Ty::Of(ty) => short_type_name(ty).to_owned(),
        Ty::System(system) => match system.element() {
            Some(element) => match element.system() {
                Some(system) => system.to_string().replace('"', ""),
                None => short_type_name(element.ty()).to_owned(),
            },
            None => system.to_string().replace('"', ""),
        },
        Ty::Interval | Ty::Unknown => "interval".to_owned(),
    }
}

fn label(tree: &Expr) -> Option<String> {
    Some(match tree {
        Expr::Nested(inner) => return label(inner),
        Expr::Identifier(ident) => folded(ident),
        Expr::CompoundIdentifier(idents) => folded(idents.last()?),
        Expr::Function(function) => {
            let name = function.name.0.last()?.as_ident().map(folded)?;
            match name.as_str() {
                "current_schema" | "current_user" | "session_user" => name,
                "char_length" | "character_length" => "length".to_owned(),
                _ => name,
            }
        }
        Expr::Cast {
            expr,
            data_type,
            kind: CastKind::Cast | CastKind::DoubleColon,
            ..
        } => {
            if let Some(inner) = label(expr) {
                return Some(inner);
            }
            short_name(type_name(data_type).ok()?.ty)
        }
        Expr::TypedString(typed) => short_name(type_name(&typed.data_type).ok()?.ty),
        Expr::Interval(_) => "interval".to_owned(),
        Expr::Case { else_result, .. } => {
            return else_result
                .as_deref()
                .and_then(label)
                .or_else(|| Some("case".to_owned()));
        }
        Expr::Exists { .. } => "exists".to_owned(),
        Expr::Subquery(query) => match query.body.as_ref() {
            sqlparser::ast::SetExpr::Select(select) => match select.projection.first()? {
                sqlparser::ast::SelectItem::UnnamedExpr(inner) => return label(inner),
                sqlparser::ast::SelectItem::ExprWithAlias { alias, .. } => folded(alias),
                _ => return None,
            },
            _ => return None,
        },
        Expr::Extract { .. } => "extract".to_owned(),
        Expr::Ceil { .. } => "ceil".to_owned(),
        Expr::Floor { .. } => "floor".to_owned(),
        Expr::Position { .. } => "position".to_owned(),
        Expr::Substring { .. } => "substring".to_owned(),
        Expr::Overlay { .. } => "overlay".to_owned(),
        Expr::AtTimeZone { .. } => "timezone".to_owned(),
        Expr::Trim { trim_where, .. } => match trim_where {
            Some(sqlparser::ast::TrimWhereField::Leading) => "ltrim".to_owned(),
            Some(sqlparser::ast::TrimWhereField::Trailing) => "rtrim".to_owned(),
            _ => "btrim".to_owned(),
        },
        Expr::Collate { expr, .. } => return label(expr),
        Expr::Value(value) if matches!(value.value, sqlparser::ast::Value::Boolean(_)) => {
            "bool".to_owned()
        }
        _ => return None,
    })
}

fn short_type_name(ty: stele_core::Type) -> &'static str {
    use stele_core::Type;
    match ty {
        Type::Bool => "bool",
        Type::SmallInt => "int2",
        Type::Integer => "int4",
        Type::BigInt => "int8",
        Type::Numeric { .. } => "numeric",
        Type::Double => "float8",
        Type::Text => "text",
        Type::Varchar(_) => "varchar",
        Type::Char(_) => "bpchar",
        Type::Bytea => "bytea",
        Type::Date => "date",
        Type::Timestamp => "timestamp",
        Type::TimestampTz => "timestamptz",
        Type::Uuid => "uuid",
        Type::Json => "json",
    }
}
