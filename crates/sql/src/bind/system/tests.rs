use super::*;

#[test]
fn every_view_has_columns_of_its_relation() {
    for (schema, name, query) in views::VIEWS {
        let shape = shape::find(schema, name).unwrap_or_else(|| panic!("{schema}.{name}"));
        let catalogue = crate::Catalogue::default();
        let context = crate::bind::BindContext::new(stele_core::AccountId::LEDGER);
        let mut binder = Binder::new(&catalogue, &context);
        let parsed = parse_single(query).unwrap();
        let Statement::Query(query) = parsed.statement() else {
            panic!("{name} is no query");
        };
        let select = binder
            .query(query, None)
            .unwrap_or_else(|error| panic!("{name}: {error:?}"));
        for column in &select.columns {
            assert!(
                shape.place(&column.name).is_some(),
                "{name}.{}",
                column.name
            );
        }
    }
}
