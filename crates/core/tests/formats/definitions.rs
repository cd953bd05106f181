//! One definition of each kind, with everything a definition can say.

use stele_core::schema::{
    Action, Column, ColumnGrant, ColumnId, ForeignKey, Grant, Grantee, Identity, Index, IndexKey,
    IndexPart, Kind, Policy, PolicyCommand, Privileges, Procedure, Rights, RowSecurity, Sequence,
    Table, TableId, Timing, View,
};
use stele_core::value::Type;
use stele_core::{AccountId, Value};

use super::SUITE;
use super::world::secret;

fn owner() -> AccountId {
    AccountId::of_key(SUITE, &secret(10).public())
}

fn other(id: u32, schema: &str, name: &str, kind: Kind) -> Table {
    Table {
        kind,
        primary_key_name: String::new(),
        ..Table::plain(TableId(id), (schema, name), owner(), Vec::new(), Vec::new())
    }
}

fn lines() -> Table {
    let mut columns = vec![
        Column::plain(ColumnId(1), "id".to_owned(), Type::BigInt),
        Column::plain(ColumnId(2), "item".to_owned(), Type::Text),
        Column::plain(ColumnId(3), "writer".to_owned(), Type::Bytea),
    ];
    columns[0].identity = Some(Identity {
        always: true,
        sequence: TableId(1_011),
    });
    columns[1].comment = Some("what was bought".to_owned());
    let key = vec![ColumnId(1)];
    let mut table = Table::plain(TableId(1_010), ("shop", "lines"), owner(), columns, key);
    table.indexes = vec![
        Index::plain("lines_item".to_owned(), &[ColumnId(2)], false, false),
        Index {
            name: "lines_lower".to_owned(),
            keys: vec![IndexKey {
                part: IndexPart::Expression("lower(item)".to_owned()),
                descending: true,
            }],
            unique: true,
            constraint: false,
            predicate: Some("id > 10".to_owned()),
        },
    ];
    table.foreign_keys = vec![ForeignKey {
        name: "lines_item_fkey".to_owned(),
        columns: vec![ColumnId(2)],
        references: TableId(1_000),
        referenced: vec![ColumnId(1)],
        on_delete: Action::Cascade,
        on_update: Action::SetNull,
        timing: Timing::Deferred,
    }];
    table.rights = Rights {
        grants: vec![
            grant(Grantee::Public, Privileges::SELECT),
            Grant {
                grantable: Privileges::INSERT,
                denied: Privileges::SELECT,
                columns: vec![ColumnGrant {
                    column: ColumnId(2),
                    granted: Privileges::UPDATE,
                    grantable: Privileges::default(),
                }],
                ..grant(Grantee::Account(AccountId([7; 32])), Privileges::INSERT)
            },
            grant(Grantee::Role(TableId(1_014)), Privileges::DELETE),
        ],
        row_security: RowSecurity::Forced,
        policies: vec![Policy {
            name: "own".to_owned(),
            command: PolicyCommand::All,
            permissive: true,
            grantees: vec![Grantee::Public],
            using: Some("writer = stele_account()".to_owned()),
            check: Some("id > 0".to_owned()),
            forced: vec![(ColumnId(3), "stele_account()".to_owned())],
            columns: Some(vec![ColumnId(1), ColumnId(2)]),
            quota: Some(100),
        }],
    };
    table.comment = Some("lines of orders".to_owned());
    table
}

fn grant(grantee: Grantee, granted: Privileges) -> Grant {
    Grant {
        grantee,
        granted,
        grantable: Privileges::default(),
        denied: Privileges::default(),
        columns: Vec::new(),
    }
}

/// Name of the fixture's line, and the definition.
pub(super) fn definitions() -> Vec<(&'static str, Table)> {
    let sequence = Kind::Sequence(Sequence {
        ty: Type::BigInt,
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cycle: false,
        owned_by: Some((TableId(1_010), ColumnId(1))),
    });
    let columns = vec![
        Column {
            not_null: true,
            ..Column::plain(ColumnId(1), "last_value".to_owned(), Type::BigInt)
        },
        Column {
            missing: Value::Null,
            ..Column::plain(ColumnId(2), "log_cnt".to_owned(), Type::BigInt)
        },
        Column {
            not_null: true,
            ..Column::plain(ColumnId(3), "is_called".to_owned(), Type::Bool)
        },
    ];
    let key = vec![ColumnId(2)];
    let name = ("shop", "lines_id_seq");
    let sequence = Table {
        kind: sequence,
        ..Table::plain(TableId(1_011), name, owner(), columns, key)
    };
    let view = Kind::View(View {
        query: "SELECT item FROM lines".to_owned(),
        search_path: vec!["shop".to_owned(), "public".to_owned()],
        reads: vec![TableId(1_010)],
    });
    let mut view = other(1_012, "shop", "items", view);
    view.columns = vec![Column::plain(ColumnId(1), "item".to_owned(), Type::Text)];
    view.next_column = ColumnId(2);
    let mut role = other(1_014, "", "clerks", Kind::Role);
    let anna = Grantee::Account(AccountId([7; 32]));
    role.rights.grants = vec![grant(anna, Privileges::MEMBER)];
    let procedure = Kind::Procedure(Procedure {
        parameters: vec![("item".to_owned(), Type::Text)],
        statements: vec!["INSERT INTO lines (item) VALUES ($1)".to_owned()],
        search_path: vec!["shop".to_owned()],
    });
    vec![
        ("lines", lines()),
        ("sequence", sequence),
        ("view", view),
        ("schema", other(1_013, "", "shop", Kind::Schema)),
        ("role", role),
        ("procedure", other(1_015, "shop", "add_line", procedure)),
    ]
}
