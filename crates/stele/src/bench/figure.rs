//! One measured figure with its peers and bars, and how figures are shown.

use std::fmt::Write as _;

use serde_json::json;

use super::sample::Sample;
use crate::table::{Align, Table};

/// What a figure must reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Bar {
    /// At least this much.
    AtLeast(f64),
    /// Less than this much.
    Below(f64),
    /// Half of the operations take less than so many milliseconds.
    MedianMs(f64),
    /// All but one in a hundred take less than so many milliseconds.
    P99Ms(f64),
    /// At least this share of the peer of that name, when it was measured in the same run.
    Share(&'static str, f64),
}

/// A figure.
#[derive(Clone, Debug)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) unit: &'static str,
    pub(super) ours: Sample,
    /// Names and figures of what was measured beside it.
    pub(super) peers: Vec<(&'static str, Sample)>,
    pub(super) bars: Vec<Bar>,
}

const HEADER: [&str; 9] = [
    "measure", "unit", "Stele", "p50 ms", "p99 ms", "peer", "figure", "ratio", "bar",
];

impl Figure {
    /// A figure that is a number rather than a rate.
    pub(super) fn of_number(name: &str, unit: &'static str, number: u64, bars: Vec<Bar>) -> Self {
        Self {
            name: name.to_owned(),
            unit,
            ours: Sample::round(number, std::time::Duration::from_secs(1), Vec::new()),
            peers: Vec::new(),
            bars,
        }
    }

    fn peer(&self, name: &str) -> Option<&Sample> {
        let found = self.peers.iter().find(|(peer, _)| *peer == name);
        found.map(|(_, sample)| sample)
    }

    fn ratio(&self, peer: &Sample) -> f64 {
        self.ours.rate() / peer.rate().max(1e-9)
    }

    /// Whether a bar is met; none when its peer was not measured.
    pub(super) fn meets(&self, bar: Bar) -> Option<bool> {
        let ours = self.ours.rate();
        match bar {
            Bar::AtLeast(least) => Some(ours >= least),
            Bar::Below(limit) => Some(ours < limit),
            Bar::MedianMs(limit) => self.ours.percentile_ms(0.5).map(|median| median < limit),
            Bar::P99Ms(limit) => self.ours.percentile_ms(0.99).map(|slow| slow < limit),
            Bar::Share(peer, share) => self.peer(peer).map(|peer| self.ratio(peer) >= share),
        }
    }

    fn shown_bars(&self, of_peer: Option<&str>) -> String {
        let mut shown = Vec::new();
        for bar in &self.bars {
            let (belongs, text) = match bar {
                Bar::AtLeast(least) => (of_peer.is_none(), format!("≥ {}", number(*least))),
                Bar::Below(limit) => (of_peer.is_none(), format!("< {}", number(*limit))),
                Bar::MedianMs(limit) => (of_peer.is_none(), format!("p50 < {limit} ms")),
                Bar::P99Ms(limit) => (of_peer.is_none(), format!("p99 < {limit} ms")),
                Bar::Share(peer, share) => (of_peer == Some(peer), format!("≥ {share} of {peer}")),
            };
            if belongs {
                let verdict = match self.meets(*bar) {
                    Some(true) => "met",
                    Some(false) => "MISSED",
                    None => "not measured",
                };
                shown.push(format!("{text}: {verdict}"));
            }
        }
        shown.join("; ")
    }

    /// One line for the figure and its own bars, one for each peer.
    fn lines(&self) -> Vec<[String; 9]> {
        let latency = |sample: &Sample, share| {
            let latency = sample.percentile_ms(share);
            latency.map_or_else(String::new, |ms| format!("{ms:.2}"))
        };
        let mut lines = vec![[
            self.name.clone(),
            self.unit.to_owned(),
            number(self.ours.rate()),
            latency(&self.ours, 0.5),
            latency(&self.ours, 0.99),
            String::new(),
            String::new(),
            String::new(),
            self.shown_bars(None),
        ]];
        for (name, peer) in &self.peers {
            lines.push([
                String::new(),
                String::new(),
                String::new(),
                latency(peer, 0.5),
                latency(peer, 0.99),
                (*name).to_owned(),
                number(peer.rate()),
                format!("{:.3}", self.ratio(peer)),
                self.shown_bars(Some(name)),
            ]);
        }
        lines
    }

    /// For programs.
    pub(super) fn to_json(&self) -> serde_json::Value {
        let of = |sample: &Sample| {
            let (slowest, fastest) = sample.range();
            json!({
                "figure": sample.rate(),
                "slowest_round": slowest,
                "fastest_round": fastest,
                "p50_ms": sample.percentile_ms(0.5),
                "p99_ms": sample.percentile_ms(0.99),
            })
        };
        let bars: Vec<_> = self
            .bars
            .iter()
            .map(|bar| match bar {
                Bar::AtLeast(least) => json!({ "at_least": least, "met": self.meets(*bar) }),
                Bar::Below(limit) => json!({ "below": limit, "met": self.meets(*bar) }),
                Bar::MedianMs(limit) => {
                    json!({ "median_below_ms": limit, "met": self.meets(*bar) })
                }
                Bar::P99Ms(limit) => json!({ "p99_below_ms": limit, "met": self.meets(*bar) }),
                Bar::Share(peer, share) => {
                    json!({ "share": share, "of": peer, "met": self.meets(*bar) })
                }
            })
            .collect();
        let peers: Vec<_> = self
            .peers
            .iter()
            .map(|(name, sample)| {
                json!({ "name": name, "sample": of(sample), "ratio": self.ratio(sample) })
            })
            .collect();
        json!({
            "measure": self.name,
            "unit": self.unit,
            "stele": of(&self.ours),
            "peers": peers,
            "bars": bars,
        })
    }
}

/// For people at a terminal.
pub(super) fn to_table(figures: &[Figure]) -> String {
    let align = |column: usize| match column {
        2..=4 | 6 | 7 => Align::Right,
        _ => Align::Left,
    };
    let mut table = Table::new(&HEADER).aligned((0..HEADER.len()).map(align).collect());
    for line in figures.iter().flat_map(Figure::lines) {
        table.row(line);
    }
    table.to_string()
}

/// For documents.
pub(super) fn to_markdown(figures: &[Figure]) -> String {
    let mut text = String::new();
    let _ = writeln!(text, "| {} |", HEADER.join(" | "));
    text.push_str("|---|---|--:|--:|--:|---|--:|--:|---|\n");
    for line in figures.iter().flat_map(Figure::lines) {
        let _ = writeln!(text, "| {} |", line.join(" | "));
    }
    text
}

/// A number as people read it: grouped thousands, decimals only where they say something.
fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn bars_are_judged_where_their_peer_was_measured() {
        let second = Duration::from_secs(1);
        let mut figure = Figure {
            name: "insert-30".to_owned(),
            unit: "rows/s",
            ours: Sample::round(6_000, second, vec![2_000]),
            peers: Vec::new(),
            bars: vec![Bar::AtLeast(5_000.0), Bar::Share("PostgreSQL", 0.25)],
        };
        assert_eq!(figure.meets(Bar::Share("PostgreSQL", 0.25)), None);
        figure
            .peers
            .push(("PostgreSQL", Sample::round(30_000, second, vec![1_000])));
        assert_eq!(figure.meets(Bar::Share("PostgreSQL", 0.25)), Some(false));
        let shown = to_markdown(&[figure]);
        for expected in [
            "6,000",
            "≥ 5,000: met",
            "≥ 0.25 of PostgreSQL: MISSED",
            "0.200",
        ] {
            assert!(shown.contains(expected), "{shown}");
        }
    }
}
