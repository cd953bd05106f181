//! What the store of a node is doing: checked, damaged, being made whole, helping another.
//!
//! A plain value: events go in, the status comes out. What it depends on others for ends by itself: one that sends is
//! valid again when nobody has asked for [`SENDING_US`], one that receives and gets nothing is invalid
//! after [`RECEIVING_US`]. So no message that is lost leaves a status behind.

use std::collections::VecDeque;

use serde::Serialize;

use crate::status::{Finding, StoreStatus};

/// How long after the last question a store counts as sending, in microseconds (2 s).
const SENDING_US: u64 = 2_000_000;
/// How long a store counts as receiving without getting anything, in microseconds (1 min).
const RECEIVING_US: u64 = 60_000_000;
/// Most findings of checks remembered.
const FINDINGS_MAX: usize = 1_000;
/// Most events remembered.
const EVENTS_MAX: usize = 100;

/// Something that happened to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoreEvent {
    /// When, microseconds since 1970 UTC.
    pub time_us: i64,
    /// What: `damaged`, `receiving`, `refused`, `unanswered`, `repaired`, `valid` or `sending`.
    pub kind: &'static str,
    /// More of it, for people.
    pub detail: String,
}

/// Blocks that are on their way to this store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Receiving {
    /// Who sends.
    pub from: String,
    /// First height that was needed.
    pub first: u64,
    /// Next height that is needed.
    pub next: u64,
    /// Last height that is needed; of one that lags behind, as far as is known.
    pub last: u64,
}

/// The store's condition.
#[derive(Clone, Debug, Default)]
pub(crate) struct Care {
    checks: u32,
    /// How often checks have found damage.
    pub(crate) alarms: u64,
    pub(crate) findings: Vec<Finding>,
    receiving: Option<(Receiving, u64)>,
    sending: Option<(String, u64)>,
    events: VecDeque<StoreEvent>,
}

impl Care {
    pub(crate) fn check_begins(&mut self) {
        self.checks += 1;
    }

    pub(crate) fn check_ends(&mut self) {
        self.checks = self.checks.saturating_sub(1);
    }

    /// A check of everything: what it found is what there is.
    pub(crate) fn replace(&mut self, findings: &[Finding], time_us: i64) {
        if findings.is_empty() && !self.findings.is_empty() {
            self.happened(
                time_us,
                "valid",
                "a check of everything found nothing".to_owned(),
            );
        }
        if let Some(first) = findings.first() {
            self.damaged(first, time_us);
        }
        self.findings = findings.to_vec();
        self.findings.truncate(FINDINGS_MAX);
    }

    /// A check of a part: adds findings that are not known.
    pub(crate) fn add(&mut self, findings: &[Finding], time_us: i64) {
        for finding in findings {
            if !self.is_known(finding) && self.findings.len() < FINDINGS_MAX {
                self.damaged(finding, time_us);
                self.findings.push(finding.clone());
            }
        }
    }

    fn is_known(&self, finding: &Finding) -> bool {
        let mut known = self.findings.iter();
        known.any(|known| known.place == finding.place && known.item == finding.item)
    }

    fn damaged(&mut self, finding: &Finding, time_us: i64) {
        if !self.is_known(finding) {
            let detail = format!("{} {}: {}", finding.place, finding.item, finding.reason);
            self.happened(time_us, "damaged", detail);
        }
    }

    /// Blocks are asked for, or came.
    pub(crate) fn receives(&mut self, receiving: Receiving, now_us: u64) {
        self.receiving = Some((receiving, now_us));
    }

    /// Nothing more is asked for, whether all came or not.
    pub(crate) fn received(&mut self) {
        self.receiving = None;
    }

    /// Another was given blocks; whether that is news.
    pub(crate) fn sends(&mut self, to: &str, now_us: u64, time_us: i64) {
        let before = self.sending_to(now_us);
        if before.as_deref() != Some(to) {
            let detail = format!("to {to}");
            self.happened(time_us, "sending", detail);
        }
        self.sending = Some((to.to_owned(), now_us));
    }

    pub(crate) fn happened(&mut self, time_us: i64, kind: &'static str, detail: String) {
        let event = StoreEvent {
            time_us,
            kind,
            detail,
        };
        if self.events.len() == EVENTS_MAX {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// What happened lately, oldest first.
    pub(crate) fn events(&self) -> Vec<StoreEvent> {
        self.events.iter().cloned().collect()
    }

    /// What is on its way here.
    pub(crate) fn receiving(&self, now_us: u64) -> Option<Receiving> {
        let (receiving, since_us) = self.receiving.as_ref()?;
        (now_us.saturating_sub(*since_us) < RECEIVING_US).then(|| receiving.clone())
    }

    /// Who is being helped.
    pub(crate) fn sending_to(&self, now_us: u64) -> Option<String> {
        let (to, since_us) = self.sending.as_ref()?;
        (now_us.saturating_sub(*since_us) < SENDING_US).then(|| to.clone())
    }

    /// The status; `damaged` tells of damage that no check was needed for.
    pub(crate) fn status(&self, damaged: bool, now_us: u64) -> StoreStatus {
        if self.receiving(now_us).is_some() {
            StoreStatus::Receiving
        } else if damaged || !self.findings.is_empty() {
            StoreStatus::Invalid
        } else if self.sending_to(now_us).is_some() {
            StoreStatus::Sending
        } else if self.checks > 0 {
            StoreStatus::Verifying
        } else {
            StoreStatus::Valid
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(number: u64) -> Finding {
        Finding {
            part: "block",
            height: Some(number),
            place: "1.seg".to_owned(),
            item: format!("offset {number}"),
            reason: "checksum".to_owned(),
        }
    }

    fn receiving(next: u64) -> Receiving {
        Receiving {
            from: "b".to_owned(),
            first: 1,
            next,
            last: 9,
        }
    }

    #[test]
    fn b6_the_way_from_valid_over_damage_to_valid() {
        let mut care = Care::default();
        assert_eq!(care.status(false, 0), StoreStatus::Valid);
        care.check_begins();
        assert_eq!(care.status(false, 0), StoreStatus::Verifying);
        care.replace(&[finding(3)], 1);
        care.check_ends();
        assert_eq!(care.status(false, 0), StoreStatus::Invalid);
        care.receives(receiving(3), 5);
        assert_eq!(care.status(false, 6), StoreStatus::Receiving);
        care.received();
        care.check_begins();
        care.replace(&[], 7);
        care.check_ends();
        assert_eq!(care.status(false, 8), StoreStatus::Valid);
        let kinds: Vec<_> = care.events().iter().map(|event| event.kind).collect();
        assert_eq!(kinds, ["damaged", "valid"]);
    }

    /// Any events in any order; then nothing more comes: what is left is what is known of the store.
    #[test]
    fn b6_no_status_is_left_behind_by_a_message_that_is_lost() {
        let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move |below: u64| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed % below
        };
        for _ in 0..2_000 {
            let mut care = Care::default();
            let (mut now_us, mut checks) = (0, 0u32);
            for _ in 0..random(40) {
                now_us += random(3_000_000);
                match random(7) {
                    0 => {
                        care.check_begins();
                        checks += 1;
                    }
                    1 if checks > 0 => {
                        care.check_ends();
                        checks -= 1;
                    }
                    2 => care.replace(&[], 0),
                    3 => care.add(&[finding(random(5))], 0),
                    4 => care.receives(receiving(random(9)), now_us),
                    5 => care.received(),
                    _ => care.sends("c", now_us, 0),
                }
                // A store known to be damaged never says that it is good.
                let status = care.status(false, now_us);
                let is_damaged = !care.findings.is_empty();
                let says_damaged = matches!(status, StoreStatus::Invalid | StoreStatus::Receiving);
                assert!(!is_damaged || says_damaged);
            }
            // The checks of this process always end.
            for _ in 0..checks {
                care.check_ends();
            }
            now_us += RECEIVING_US;
            let expected = match care.findings.is_empty() {
                true => StoreStatus::Valid,
                false => StoreStatus::Invalid,
            };
            assert_eq!(care.status(false, now_us), expected);
        }
    }

    #[test]
    fn one_that_helps_is_valid_again_when_nobody_asks() {
        let mut care = Care::default();
        for now_us in [10, 1_000_000, 2_500_000] {
            care.sends("c", now_us, 0);
            assert_eq!(care.status(false, now_us + 1), StoreStatus::Sending);
        }
        assert_eq!(care.events().len(), 1);
        assert_eq!(care.status(false, 4_500_000), StoreStatus::Valid);
        care.sends("c", 4_600_000, 0);
        assert_eq!(care.events().len(), 2);
    }
}
