//! Endorsement: every block executed again from genesis, and all it gives compared with what the
//! validators recorded (row C9).
//!
//! Signatures show that validators agreed on an outcome; this shows that it is the right one. Compared
//! are, for each transaction, its signature, the outcome's code and number of rows, and every change:
//! table, key, row before (what was read to write it) and row after; for each block the state root and
//! the rest of its leaf. Results that a client saw and table versions it relied on are part of the
//! transaction, so executing it compares them too (40001).

use std::path::Path;

use stele_core::Suite;
use stele_core::genesis::Genesis;
use stele_core::outcome::{BlockEffects, Change, TransactionEffects};
use stele_sql::engine::{Engine, EngineConfig, key_text};
use stele_store::BlockStore;

use crate::apply::{BlockTransaction, execute, leaf, remember};
use crate::blocks::not_stored;
use crate::error::NodeError;
use crate::recent::RecentIds;
use crate::recover::stored_block;
use crate::status::{AuditReport, Finding};

/// Most findings; one wrong outcome makes many that follow from it.
const FINDINGS_MAX: usize = 20;

/// Executes all blocks with effects on a state of its own in `scratch`, a file that is not there yet.
/// `progress` is given (done, total) blocks.
pub(crate) fn endorse(
    store: &BlockStore,
    genesis: &Genesis,
    scratch: &Path,
    progress: &dyn Fn(u64, u64),
    report: &mut AuditReport,
) -> Result<(), NodeError> {
    let (suite, ledger) = (genesis.suite, genesis.ledger_id());
    let mut config = EngineConfig::new(Some(scratch.to_owned()), ledger, suite);
    config.limits = genesis.limits;
    let mut engine = Engine::open(config)?;
    let mut recent = RecentIds::default();
    let last = store.effects_height();
    for height in 1..=last {
        let (block, transactions) = stored_block(store, suite, height)?;
        let recorded = store.effects(height)?.ok_or_else(|| not_stored(height))?;
        for (index, transaction) in transactions.iter().enumerate() {
            if let Err(error) = transaction.signed.verify(suite, &ledger) {
                let what = format!("it is not signed by its account: {error}");
                report
                    .findings
                    .push(finding(height, index, transaction, "signature", what));
            }
        }
        let executed = execute(&mut engine, &recent, &block.header, &transactions)?;
        let found = BlockEffects {
            leaf: leaf(genesis, &block, executed.state_root),
            transactions: executed.effects,
            certificate: Vec::new(),
        };
        compare(&engine, height, &transactions, &recorded, &found, report);
        engine.commit(&[], block.hash)?;
        remember(&mut recent, block.header.time_us, &transactions);
        report.executed += transactions.len() as u64;
        progress(height, last);
        if report.findings.len() >= FINDINGS_MAX {
            break;
        }
    }
    if report.findings.len() < FINDINGS_MAX {
        execute_rest(store, suite, &mut engine, &mut recent, report)?;
    }
    engine.close()?;
    Ok(())
}

/// Executes the newest blocks, whose effects were not stored before a crash: a node must be able to.
fn execute_rest(
    store: &BlockStore,
    suite: Suite,
    engine: &mut Engine,
    recent: &mut RecentIds,
    report: &mut AuditReport,
) -> Result<(), NodeError> {
    for height in store.effects_height() + 1..=store.appended_height() {
        let (block, transactions) = stored_block(store, suite, height)?;
        if let Err(error) = execute(engine, recent, &block.header, &transactions) {
            report.findings.push(Finding {
                reason: format!("its effects are not stored, and it cannot be executed: {error}"),
                ..of_block(height, "as a whole", String::new())
            });
            return Ok(());
        }
        engine.commit(&[], block.hash)?;
        remember(recent, block.header.time_us, &transactions);
        report.executed += transactions.len() as u64;
    }
    Ok(())
}

fn compare(
    engine: &Engine,
    height: u64,
    transactions: &[BlockTransaction],
    recorded: &BlockEffects,
    found: &BlockEffects,
    report: &mut AuditReport,
) {
    let pairs = recorded.transactions.iter().zip(&found.transactions);
    for ((index, transaction), (recorded, found)) in transactions.iter().enumerate().zip(pairs) {
        if let Some((item, what)) = difference(engine, recorded, found) {
            report
                .findings
                .push(finding(height, index, transaction, &item, what));
        }
    }
    if recorded.transactions.len() != found.transactions.len() {
        let what = format!(
            "outcomes of {} transactions are recorded, the block has {}",
            recorded.transactions.len(),
            found.transactions.len()
        );
        report.findings.push(of_block(height, "outcomes", what));
    }
    let (said, is) = (&recorded.leaf, &found.leaf);
    if said.state_root != is.state_root {
        let what = format!(
            "{} is recorded, executing gives {}",
            said.state_root, is.state_root
        );
        report.findings.push(of_block(height, "state root", what));
    } else if said != is {
        let what = "it is recorded otherwise than it follows from the block".to_owned();
        report.findings.push(of_block(height, "block leaf", what));
    }
}

/// The first thing in which effects differ: what, and how.
fn difference(
    engine: &Engine,
    recorded: &TransactionEffects,
    found: &TransactionEffects,
) -> Option<(String, String)> {
    let (said, is) = (&recorded.outcome, &found.outcome);
    if said.code != is.code {
        let what = format!("{} is recorded, executing gives {}", said.code, is.code);
        return Some(("outcome code".to_owned(), what));
    }
    if said.rows_affected != is.rows_affected {
        let what = format!(
            "{} are recorded, executing gives {}",
            said.rows_affected, is.rows_affected
        );
        return Some(("rows affected".to_owned(), what));
    }
    let differing = recorded
        .changes
        .iter()
        .zip(&found.changes)
        .find(|(said, is)| said != is);
    if let Some((said, is)) = differing {
        return Some(change_difference(engine, said, is));
    }
    let (more, fewer) = (recorded.changes.len(), found.changes.len());
    if more != fewer {
        let longer = if more > fewer { recorded } else { found };
        let place = longer.changes.get(more.min(fewer));
        let named = place.map_or_else(String::new, |change| named(engine, change));
        let what = match more > fewer {
            true => "this change is recorded, executing does not make it",
            false => "executing makes this change, it is not recorded",
        };
        return Some((named, what.to_owned()));
    }
    (said.changes != is.changes).then(|| {
        let what = "it does not commit to the recorded changes".to_owned();
        ("digest of the changes".to_owned(), what)
    })
}

fn change_difference(engine: &Engine, said: &Change, is: &Change) -> (String, String) {
    let what = match (said, is) {
        (Change::Row(said), Change::Row(is)) if (said.table, &said.key) == (is.table, &is.key) => {
            match said.before == is.before {
                true => "another row after it is recorded than executing gives",
                false => "another row before it is recorded than executing reads",
            }
        }
        _ => "executing makes another change here",
    };
    (named(engine, said), what.to_owned())
}

/// A change by table and key, as people read them.
fn named(engine: &Engine, change: &Change) -> String {
    let table = |id| {
        let catalogue = engine.catalogue();
        let found = catalogue.table(id);
        found.map_or_else(
            || format!("table {}", id.0),
            |table| format!("table {}", table.name),
        )
    };
    match change {
        Change::Row(row) => {
            let catalogue = engine.catalogue();
            let known = catalogue.table(row.table);
            let key =
                known.map_or_else(|| hex::encode(&row.key), |known| key_text(known, &row.key));
            format!("{} key {key}", table(row.table))
        }
        Change::Schema { table: id, .. } => format!("definition of {}", table(*id)),
    }
}

fn finding(
    height: u64,
    index: usize,
    transaction: &BlockTransaction,
    item: &str,
    what: String,
) -> Finding {
    Finding {
        part: "execution",
        height: Some(height),
        place: format!(
            "block {height}, transaction {index} ({}) of {}",
            transaction.id, transaction.signed.transaction.account
        ),
        item: item.to_owned(),
        reason: forged(what),
    }
}

fn of_block(height: u64, item: &str, what: String) -> Finding {
    Finding {
        part: "execution",
        height: Some(height),
        place: format!("block {height}"),
        item: item.to_owned(),
        reason: forged(what),
    }
}

fn forged(what: String) -> String {
    format!("{what}: who signed this block's checkpoint answers for it")
}
