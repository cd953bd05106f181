//! What a check of blocks and state found, told to people.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use stele_node::AuditReport;

use crate::paint::Paint;
use crate::status::bytes;
use crate::table::{Align, Table};

/// Most findings shown; the JSON has all.
const FINDINGS_SHOWN_MAX: usize = 100;

/// A report as it comes from a node or from an offline check.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) height: u64,
    pub(crate) blocks: u64,
    pub(crate) transactions: u64,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    #[serde(default)]
    pub(crate) versions: u64,
    #[serde(default)]
    pub(crate) executed: u64,
    pub(crate) seconds: f64,
    pub(crate) findings: Vec<Finding>,
}

/// One thing that was wrong.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Finding {
    pub(crate) part: String,
    pub(crate) height: Option<u64>,
    pub(crate) place: String,
    pub(crate) item: String,
    pub(crate) reason: String,
}

impl From<AuditReport> for Report {
    fn from(report: AuditReport) -> Self {
        Self {
            height: report.height,
            blocks: report.blocks,
            transactions: report.transactions,
            bytes: report.bytes,
            rows: report.rows,
            versions: report.versions,
            executed: report.executed,
            seconds: report.seconds,
            findings: report
                .findings
                .into_iter()
                .map(|finding| Finding {
                    part: finding.part.to_owned(),
                    height: finding.height,
                    place: finding.place,
                    item: finding.item,
                    reason: finding.reason,
                })
                .collect(),
        }
    }
}

impl Report {
    /// Whether nothing was wrong.
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// For people.
    pub(crate) fn to_text(&self, paint: Paint) -> String {
        let mut text = String::new();
        let rate = self.bytes as f64 / (1024.0 * 1024.0) / self.seconds.max(0.001);
        let _ = writeln!(
            text,
            "checked {} blocks up to height {}: {} transactions, {} of segments, {} rows of the state, {} earlier versions, in {:.1} s ({rate:.0} MiB/s)",
            self.blocks,
            self.height,
            self.transactions,
            bytes(self.bytes),
            self.rows,
            self.versions,
            self.seconds,
        );
        if self.executed > 0 {
            let _ = writeln!(
                text,
                "executed {} transactions again, from the first block on, and compared all they gave",
                self.executed
            );
        }
        if self.is_clean() {
            let _ = writeln!(
                text,
                "{} nothing was changed behind the ledger's back",
                paint.good("OK")
            );
            return text;
        }
        let count = match self.findings.len() {
            1 => "1 thing is wrong".to_owned(),
            count => format!("{count} things are wrong"),
        };
        let _ = writeln!(text, "{} {count}\n", paint.bad("NOT OK"));
        let mut table = Table::new(&["part", "height", "place", "item"]).aligned(vec![
            Align::Left,
            Align::Right,
            Align::Left,
            Align::Left,
        ]);
        let shown = || self.findings.iter().take(FINDINGS_SHOWN_MAX);
        for finding in shown() {
            table.row([
                finding.part.clone(),
                finding
                    .height
                    .map_or(String::new(), |height| height.to_string()),
                finding.place.clone(),
                finding.item.clone(),
            ]);
        }
        let _ = writeln!(text, "{table}");
        for (number, finding) in shown().enumerate() {
            let _ = writeln!(
                text,
                "{}. {}",
                number + 1,
                crate::table::printable(&finding.reason)
            );
        }
        if self.findings.len() > FINDINGS_SHOWN_MAX {
            let more = self.findings.len() - FINDINGS_SHOWN_MAX;
            let _ = writeln!(text, "… and {more} more (--json shows all)");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_named() {
        let mut report = Report {
            blocks: 3,
            height: 3,
            ..Report::default()
        };
        let paint = Paint::of_stdout();
        assert!(report.to_text(paint).contains("OK nothing was changed"));
        report.findings.push(Finding {
            part: "state".to_owned(),
            height: None,
            place: "public.orders".to_owned(),
            item: "order_no = 1001".to_owned(),
            reason: "the row differs".to_owned(),
        });
        let text = report.to_text(paint);
        for expected in [
            "1 thing is wrong",
            "public.orders",
            "order_no = 1001",
            "1. the row differs",
        ] {
            assert!(text.contains(expected), "{text}");
        }
    }
}
