//! Audits that run by themselves: each replica at its own interval and rate, one after the other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::job::Ending;
use super::registry::Replicas;
use super::status::Phase;
use super::task::Task;
use crate::audit::AuditRequest;
use stele_flow::SpawnError;

/// How often it is looked whether one is due.
const LOOK_PAUSE: Duration = Duration::from_millis(500);

/// Starts the task.
pub(super) fn start(replicas: &Replicas) -> Result<Task, SpawnError> {
    let ending = Arc::new(Ending::default());
    let spawner = replicas.runtime().spawner.clone();
    let (replicas, told) = (replicas.clone(), ending.clone());
    let join = spawner.spawn(
        "stele-replica-audits",
        Box::new(move || run(&replicas, &told)),
    )?;
    Ok(Task { ending, join })
}

fn run(replicas: &Replicas, ending: &Ending) {
    // When each was last begun, by the monotonic clock.
    let mut begun: BTreeMap<String, u64> = BTreeMap::new();
    let clock = replicas.runtime().clock.clone();
    while !ending.rest(LOOK_PAUSE) {
        for view in replicas.list() {
            let interval_us = view.spec.audit_interval_s.saturating_mul(1_000_000);
            let now_us = clock.monotonic_us();
            let last_us = *begun.entry(view.name.clone()).or_insert(now_us);
            let due = interval_us > 0 && now_us.saturating_sub(last_us) >= interval_us;
            if !due || view.status.phase != Phase::Following {
                continue;
            }
            begun.insert(view.name.clone(), now_us);
            let request = AuditRequest {
                rows_per_s: view.spec.audit_rows_per_s,
                ..AuditRequest::default()
            };
            let audited = replicas.audit(&view.name, &request, &mut |_| !ending.is_wanted());
            match audited {
                Ok(report) if report.is_clean() => {
                    tracing::info!(replica = %view.name, height = report.height, rows = report.rows, "the audit found all rows as they should be");
                }
                Ok(report) => {
                    let tables = report.tables.iter().filter(|table| !table.is_clean());
                    let tables: Vec<&str> = tables.map(|table| table.table.as_str()).collect();
                    tracing::error!(replica = %view.name, height = report.height, ?tables, "the audit found rows that differ from what is certified; `stele replica audit NAME` tells which");
                }
                Err(_) if ending.is_wanted() => return,
                Err(error) => {
                    tracing::warn!(replica = %view.name, %error, "the audit could not be made");
                }
            }
        }
    }
}
