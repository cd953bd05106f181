//! What a statement's text turns out to be.

use std::borrow::Cow;
use std::sync::Arc;

use stele_core::Type;
use stele_core::schema::TableId;
use stele_sql::{Bound, Element, OutputColumn, SchemaChange, SqlError, SystemType};

use super::Session;
use super::declared::with_casts;
use crate::pg::codec::Parameter;
use crate::pg::command::copy::Copy;
use crate::pg::command::proof::ProofQuery;
use crate::pg::command::{self, Command, Declaration};
use crate::pg::scanner::{Scanner, Token};
use crate::pg::wire_type::{self, WireType};

/// A prepared statement: what is to be done.
#[derive(Clone, Debug)]
pub(super) enum Work {
    /// Nothing.
    Empty,
    /// Something the session does.
    Command(Command),
    /// A cursor over something the ledger reads.
    Declare(Arc<Plan>, Declaration),
    /// A proof; the plan computes what of.
    Proof(Arc<Plan>, ProofQuery),
    /// Several writes that are answered as one.
    Writes(Vec<Arc<Plan>>),
    /// EXPLAIN of something the ledger does.
    Explain(Arc<Plan>),
    /// COPY TO STDOUT of something the ledger reads.
    CopyOut(Arc<Plan>, Copy),
    /// COPY FROM STDIN.
    CopyIn(Copy),
    /// Something the ledger does.
    Plan(Arc<Plan>),
}

/// A statement for the ledger.
#[derive(Debug)]
pub(super) struct Plan {
    /// Its text, as it is executed.
    pub(super) sql: String,
    /// What it does.
    pub(super) class: Class,
    /// Its parameters.
    pub(super) parameters: Vec<Parameter>,
    /// Columns of its result; none when only execution can tell.
    pub(super) columns: Option<Vec<OutputColumn>>,
    /// The same as execution gives them: a declared type put into the text may give another name.
    pub(super) executed_columns: Option<Vec<OutputColumn>>,
    /// What the binder made of it; none when only execution can tell.
    pub(super) bound: Option<Arc<Bound>>,
}

/// What a statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Reads.
    Read,
    /// Changes rows.
    Write,
    /// Changes the catalogue.
    Schema,
    /// `IF NOT EXISTS` or `IF EXISTS` with nothing to do.
    Nothing {
        /// Its tag.
        tag: &'static str,
        /// What was skipped.
        notice: String,
    },
}

/// What a prepared statement is counted as: so much, so many bytes for each of its text, and so many for
/// each column it gives. Measured; a little more than the most that was seen.
const WORK_LEN: usize = 4 * 1024;
const WORK_LEN_PER_BYTE: usize = 8;
const WORK_LEN_PER_COLUMN: usize = 256;

impl Work {
    /// About how many bytes it takes in memory, made of a text of so many.
    pub(super) fn len(&self, text_len: usize) -> usize {
        let made: usize = match self {
            Self::Plan(plan)
            | Self::Explain(plan)
            | Self::Declare(plan, _)
            | Self::CopyOut(plan, _)
            | Self::Proof(plan, _) => plan.len(),
            Self::Writes(plans) => plans.iter().map(|plan| plan.len()).sum(),
            Self::Empty | Self::Command(_) | Self::CopyIn(_) => 0,
        };
        WORK_LEN + WORK_LEN_PER_BYTE * text_len + made
    }

    /// Its parameters.
    pub(super) fn parameters(&self) -> &[Parameter] {
        match self {
            Self::Plan(plan)
            | Self::Explain(plan)
            | Self::Declare(plan, _)
            | Self::Proof(plan, _) => &plan.parameters,
            Self::Empty
            | Self::Command(_)
            | Self::Writes(_)
            | Self::CopyOut(..)
            | Self::CopyIn(_) => &[],
        }
    }
}

impl Plan {
    fn len(&self) -> usize {
        let columns = self.columns.as_ref().map_or(0, Vec::len);
        let lowered = self.bound.as_ref().map_or(0, |bound| bound.lowered_len());
        WORK_LEN_PER_COLUMN * columns + lowered
    }
}

impl Session {
    /// Reads a statement's text; `oids` are the parameter types the client declares.
    pub(super) fn prepare(&self, sql: &str, oids: &[u32]) -> Result<Work, SqlError> {
        match command::parse(sql)? {
            Some(Command::Declare(declaration)) => {
                self.check_not_failed()?;
                let plan = self.plan(&declaration.query, oids)?;
                return Ok(Work::Declare(Arc::new(plan), declaration));
            }
            Some(Command::Truncate(each)) => {
                self.check_not_failed()?;
                let plans = each.iter().map(|sql| Ok(Arc::new(self.plan(sql, &[])?)));
                let plans = plans.collect::<Result<_, SqlError>>()?;
                return Ok(Work::Writes(self.referring_first(plans)));
            }
            Some(Command::Explain(query)) => {
                self.check_not_failed()?;
                return Ok(Work::Explain(Arc::new(self.plan(&query, oids)?)));
            }
            Some(Command::Proof(query)) => {
                self.check_not_failed()?;
                let plan = self.plan(&format!("SELECT {}", query.arguments), oids)?;
                return Ok(Work::Proof(Arc::new(plan), query));
            }
            Some(Command::Copy(copy)) => {
                self.check_not_failed()?;
                if copy.from_client {
                    return Ok(Work::CopyIn(copy));
                }
                let plan = self.plan(&copy.what.query(), &[])?;
                if plan.class != Class::Read || !plan.parameters.is_empty() {
                    return Err(SqlError::unsupported(
                        "COPY of a statement that writes, or with parameters",
                        "Write first, then COPY what was written.",
                    ));
                }
                return Ok(Work::CopyOut(Arc::new(plan), copy));
            }
            Some(command) => return Ok(Work::Command(command)),
            None => self.check_not_failed()?,
        }
        self.plan(sql, oids).map(|plan| Work::Plan(Arc::new(plan)))
    }

    /// Writes of a table each, so ordered that no row refers to one that is gone.
    fn referring_first(&self, mut plans: Vec<Arc<Plan>>) -> Vec<Arc<Plan>> {
        let table = |plan: &Arc<Plan>| match plan.bound.as_deref() {
            Some(Bound::Write(write)) => Some(write.table),
            _ => None,
        };
        let tables: Option<Vec<TableId>> = plans.iter().map(table).collect();
        // Inside a transaction that changes definitions only execution knows them: as they were written.
        if let Some(tables) = tables {
            let order = self.node.referring_first(&tables);
            plans.sort_by_key(|plan| order.iter().position(|id| Some(*id) == table(plan)));
        }
        plans
    }

    pub(super) fn plan(&self, sql: &str, oids: &[u32]) -> Result<Plan, SqlError> {
        let sql = &*self.node.with_accounts(sql)?;
        let declared: Vec<Option<Type>> = oids
            .iter()
            .enumerate()
            .map(|(place, oid)| wire_type::declared(*oid, place + 1))
            .collect::<Result<_, _>>()?;
        let unsure = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.open.changes_schema());
        let (sql, bound) = self.bind_arrays(sql, oids, &declared);
        let sql = &*sql;
        let bound = match bound {
            Ok(bound) => bound,
            // It may need a table that only this transaction knows: execution will tell.
            Err(_) if unsure => return Ok(unbound(sql, oids, &declared)),
            Err(error) => return Err(error),
        };
        let parameters = bound
            .parameters()
            .iter()
            .enumerate()
            .map(|(place, ty)| Parameter {
                oid: match oids.get(place) {
                    None | Some(0 | &wire_type::UNKNOWN) => {
                        match bound.arrays().get(place).copied().flatten() {
                            Some(element) => SystemType::Array(element).oid(),
                            None => WireType::of(*ty).oid,
                        }
                    }
                    Some(oid) => *oid,
                },
                ty: Some(*ty),
            })
            .collect();
        let class = match bound.as_ref() {
            Bound::Query(_) if bound.is_read_only() => Class::Read,
            Bound::Query(_) => Class::Write,
            Bound::Write(_) | Bound::Call(_) => Class::Write,
            Bound::Schema(SchemaChange::Nothing { tag, notice }) if !unsure => Class::Nothing {
                tag,
                notice: notice.clone(),
            },
            Bound::Schema(_) => Class::Schema,
        };
        let columns = Some(bound.columns().to_vec());
        let (sql, bound) = match self.with_declared(sql, &declared, &bound) {
            Some((text, bound)) => (text, bound),
            None => (sql.to_owned(), bound),
        };
        Ok(Plan {
            sql,
            class,
            parameters,
            columns,
            executed_columns: Some(bound.columns().to_vec()),
            // Under a changed catalogue it may turn out to be something else.
            bound: Some(bound).filter(|_| !unsure),
        })
    }

    /// Binds a statement. Where a client declares an array and the binder takes the parameter for a
    /// text, the text of the statement comes to say the type.
    fn bind_arrays<'s>(
        &self,
        sql: &'s str,
        oids: &[u32],
        declared: &[Option<Type>],
    ) -> (Cow<'s, str>, Result<Arc<Bound>, SqlError>) {
        let array = |place: usize| {
            oids.get(place)
                .and_then(|oid| SystemType::array_of_oid(*oid))
        };
        let bound = self.bind_types(sql, declared);
        let is_known = |place: usize| {
            let arrays = bound
                .as_ref()
                .map(|bound| bound.arrays())
                .unwrap_or_default();
            match arrays.get(place).copied().flatten() {
                // What nothing says better.
                Some(Element::Text) => {
                    array(place).and_then(SystemType::element) == Some(Element::Text)
                }
                known => known.is_some(),
            }
        };
        if (0..oids.len()).all(|place| array(place).is_none() || is_known(place)) {
            return (Cow::Borrowed(sql), bound);
        }
        let said = with_casts(sql, |place| array(place).map(|ty| ty.to_string()));
        match self.bind_types(&said, declared) {
            Ok(again) => (Cow::Owned(said), Ok(again)),
            Err(_) => (Cow::Borrowed(sql), bound),
        }
    }

    /// Binds a statement. A client declares NUMERIC without precision and scale; the column a
    /// parameter meets knows better, so the binder is asked first what it would infer.
    fn bind_types(&self, sql: &str, declared: &[Option<Type>]) -> Result<Arc<Bound>, SqlError> {
        let as_of = self.settings.as_of();
        let is_numeric = |ty: &Option<Type>| matches!(ty, Some(Type::Numeric { .. }));
        if declared.iter().any(is_numeric) {
            let open: Vec<Option<Type>> = declared
                .iter()
                .map(|ty| ty.filter(|_| !is_numeric(ty)))
                .collect();
            let bound = (self.node).describe_as_of(self.account, sql, &open, as_of);
            if let Ok(bound) = bound {
                let inferred = bound.parameters();
                let fits = |(place, ty): (usize, &Option<Type>)| {
                    !is_numeric(ty) || is_numeric(&inferred.get(place).copied())
                };
                if declared.iter().enumerate().all(fits) {
                    return Ok(bound);
                }
            }
        }
        (self.node).describe_as_of(self.account, sql, declared, as_of)
    }
}

/// A plan made without the binder.
fn unbound(sql: &str, oids: &[u32], declared: &[Option<Type>]) -> Plan {
    let mut scanner = Scanner::new(sql);
    let mut first: Option<Token<'_>> = None;
    let mut writes = false;
    let mut count = declared.len();
    while let Some((token, _, _)) = scanner.next_token() {
        if token != Token::Symbol(b'(') {
            first.get_or_insert(token);
        }
        writes |= ["insert", "update", "delete"]
            .iter()
            .any(|word| token.is(word));
        if let Token::Word(word) = token
            && let Some(number) = word.strip_prefix('$')
        {
            let number = number.parse::<u16>().map_or(0, usize::from);
            count = count.max(number);
        }
    }
    let starts = |words: &[&str]| first.is_some_and(|token| words.iter().any(|w| token.is(w)));
    let class = if starts(&["insert", "update", "delete", "truncate"]) {
        Class::Write
    } else if starts(&["select", "values", "table"]) || (starts(&["with"]) && !writes) {
        Class::Read
    } else if starts(&["with"]) {
        Class::Write
    } else {
        Class::Schema
    };
    let parameters = (0..count)
        .map(|place| Parameter {
            oid: oids
                .get(place)
                .copied()
                .filter(|oid| *oid != 0)
                .unwrap_or(wire_type::UNKNOWN),
            // A declared NUMERIC has no scale; the column it meets has.
            ty: declared
                .get(place)
                .copied()
                .flatten()
                .filter(|ty| !matches!(ty, Type::Numeric { .. })),
        })
        .collect();
    Plan {
        sql: sql.to_owned(),
        class,
        parameters,
        columns: None,
        executed_columns: None,
        bound: None,
    }
}
