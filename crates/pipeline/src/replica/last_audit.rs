//! What the last audit of a replica found, in short: for its status and for metrics.

use serde::Serialize;

use crate::audit::{AuditFailure, AuditReport};

/// What an audit found, in short.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LastAudit {
    /// Height the rows were compared at; 0 when they were not.
    pub height: u64,
    /// When it ended, microseconds since 1970 UTC.
    pub at_us: i64,
    /// Whether all was as it should be, or is so again.
    pub clean: bool,
    /// Rows and tables that differed, or why nothing was compared.
    pub findings: Vec<String>,
}

/// Most findings kept of an audit.
const FINDINGS_KEPT_MAX: usize = 10;

impl LastAudit {
    pub(super) fn of(report: &AuditReport, at_us: i64) -> Self {
        let mut findings = Vec::new();
        for table in &report.tables {
            let drift = table.drift.iter();
            findings.extend(drift.map(|what| format!("{}: {what}", table.table)));
            if table.differences_total > 0 {
                let first = table.differences.first();
                let first = first.map_or(String::new(), |first| {
                    format!(", first {} ({})", first.key, first.kind)
                });
                let total = table.differences_total;
                findings.push(format!("{}: {total} rows differ{first}", table.table));
            }
        }
        findings.truncate(FINDINGS_KEPT_MAX);
        Self {
            height: report.height,
            at_us,
            clean: report.is_clean(),
            findings,
        }
    }

    pub(super) fn failed(error: &AuditFailure, at_us: i64) -> Self {
        Self {
            height: 0,
            at_us,
            clean: false,
            findings: vec![error.to_string()],
        }
    }
}
