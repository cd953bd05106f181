//! Functions and procedures, as the catalogue shows them.

use stele_core::schema::{Kind, Procedure, Table};

use super::fixed::{function_signatures, pg_proc};
use super::objects::{role_oid, table_oid};
use super::pair;
use super::rows::{Rows, int, numbers, text, texts, truth};
use super::shape::Shape;
use crate::bind::Binder;
use crate::system_type::Element;

/// The number of the language SQL, and of the type of what gives nothing.
const SQL: i64 = 14;
const VOID: i64 = 2_278;

impl Binder<'_> {
    fn procedures(&self) -> impl Iterator<Item = (&Table, &Procedure)> {
        let all = self.catalogue.definitions();
        all.filter_map(|definition| match &definition.kind {
            Kind::Procedure(procedure) => Some((definition.as_ref(), procedure)),
            _ => None,
        })
    }

    pub(super) fn pg_proc(&self, shape: &'static Shape) -> Rows {
        let mut rows = pg_proc(shape);
        for (definition, procedure) in self.procedures() {
            let parameters = procedure.parameters.iter();
            let names: Vec<String> = parameters.clone().map(|(name, _)| name.clone()).collect();
            let types = parameters.map(|(_, ty)| i64::from(Element::holding(*ty).oid()));
            rows.push(&[
                ("oid", int(table_oid(definition))),
                ("proname", text(&definition.name)),
                ("pronamespace", int(self.schema_oid(&definition.schema))),
                ("proowner", int(role_oid(definition.owner))),
                ("prolang", int(SQL)),
                ("prokind", text("p")),
                ("prosecdef", truth(true)),
                ("provolatile", text("v")),
                ("proparallel", text("u")),
                ("pronargs", int(names.len() as i64)),
                ("prorettype", int(VOID)),
                ("proargtypes", numbers(types)),
                ("proargnames", texts(&names)),
                ("prosrc", text(&procedure.statements.join("; "))),
            ]);
        }
        rows
    }

    /// Arguments and results: number, place (0 arguments, 1 result), text.
    pub(super) fn signatures(&self) -> Vec<String> {
        let mut rows = function_signatures();
        for (definition, procedure) in self.procedures() {
            let parameters = procedure.parameters.iter();
            let shown: Vec<String> = parameters
                .map(|(name, ty)| match name.as_str() {
                    "" => format!("IN {ty}"),
                    name => format!("IN {name} {ty}"),
                })
                .collect();
            rows.push(pair(table_oid(definition), 0, &shown.join(", ")));
        }
        rows
    }
}
