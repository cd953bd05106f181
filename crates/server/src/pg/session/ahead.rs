//! Batches of an open transaction that arrived together.
//!
//! A client that does not wait for each answer (pipelining, with a Sync after each statement) has
//! sent further batches when one ends. Their writes are deferred too, so that one preview answers all
//! of them. They are *settled* as soon as something comes that is more than a write, or nothing more:
//! their replies are then what they would have been one by one. A batch that fails leaves the
//! transaction failed, so each batch after it fails with 25P02.

use super::Session;
use super::plan::{Class, Work};
use crate::pg::message::Message;
use crate::pg::reply::Severity;

impl Session {
    /// Whether a message can be taken while batches before it are unsettled.
    pub(super) fn may_wait(&self, message: &Message) -> bool {
        match message {
            Message::Bind(bind) => (self.prepared.get(&bind.statement))
                .is_some_and(|prepared| is_write(&prepared.work)),
            Message::Execute { portal, rows_max } => *rows_max == 0 && self.is_new_write(portal),
            Message::Sync => true,
            _ => false,
        }
    }

    /// Ends a batch inside BEGIN without settling it, if it holds nothing but writes.
    pub(super) fn end_ahead(&mut self) -> bool {
        let before = self.ends.last().copied().unwrap_or_default();
        if self.skipping || !self.in_transaction() || self.deferred.len() == before {
            return false;
        }
        self.ends.push(self.deferred.len());
        let status = self.status();
        self.next_replies().ready(status);
        true
    }

    /// Answers all batches that have ended, and the writes of the one under way.
    pub(crate) fn settle(&mut self) {
        self.start_clock();
        if self.ends.is_empty() {
            return;
        }
        let ends = std::mem::take(&mut self.ends);
        let all = self.deferred.len();
        let Err((failed, error)) = self.preview_all() else {
            return;
        };
        self.mark_failed();
        let mut error = Some(error);
        let mut failing = ends.iter().filter(|end| **end > failed).count();
        let under_way = ends.last().is_some_and(|end| *end < all);
        while failing > 0 {
            failing -= 1;
            let error = error.take().unwrap_or_else(super::aborted);
            self.out.error(Severity::Error, &error);
            let status = self.status();
            self.out.ready(status);
        }
        if under_way {
            let error = error.take().unwrap_or_else(super::aborted);
            self.out.error(Severity::Error, &error);
            self.skipping = true;
        }
    }

    fn is_new_write(&self, portal: &str) -> bool {
        let portal = self.portals.get(portal);
        portal.is_some_and(|portal| portal.is_new() && is_write(portal.work()))
    }
}

fn is_write(work: &Work) -> bool {
    matches!(work, Work::Plan(plan) if plan.class == Class::Write)
}
