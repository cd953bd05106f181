//! Audits of a node's replicas, and their repair.

use std::sync::atomic::Ordering;

use super::Replicas;
use crate::audit::{self, AuditFailure, AuditProgress, AuditReport};
use crate::replica::error::ReplicaError;
use crate::replica::last_audit::LastAudit;
use crate::replica::status::Phase;

impl Replicas {
    /// Compares a replica's rows with what is certified of them.
    ///
    /// # Errors
    /// When the comparison could not be made. A difference is no error: it is in the report.
    pub fn audit(
        &self,
        name: &str,
        request: &audit::AuditRequest,
        progress: &mut dyn FnMut(AuditProgress) -> bool,
    ) -> Result<AuditReport, ReplicaError> {
        let now_us = self.now_us();
        let (known, duty) = self.with(name, |entry| {
            let duty = audit::Duty {
                selection: entry.spec.selection(),
                is_filled: entry.status.get(now_us).phase == Phase::Following,
            };
            (entry.audited.clone(), duty)
        })?;
        let stopping = &self.0.stopping;
        let mut progress = |at: AuditProgress| progress(at) && !stopping.load(Ordering::Relaxed);
        let source = (self.0.workshop.source)();
        let mut mirror = self.mirror(name)?;
        let asked = (request, &duty);
        let audited = audit::audit(&*source, &mut *mirror, asked, &known, &mut progress);
        let at_us = self.now_us();
        let noted = match &audited {
            // One of some tables says nothing good of the others.
            Ok(report)
                if report.is_clean() && !(report.is_whole() && request.tables.is_empty()) =>
            {
                None
            }
            Ok(report) => Some(LastAudit::of(report, at_us)),
            Err(AuditFailure::Ended | AuditFailure::Empty(_)) => None,
            Err(error) => Some(LastAudit::failed(error, at_us)),
        };
        if let Some(noted) = noted {
            self.with(name, |entry| entry.last_audit = Some(noted))?;
        }
        let mut report = audited?;
        if request.repair && !report.is_clean() {
            let claim = self.0.claims.claim(name, None);
            self.halt(name);
            let mended = audit::repair(&*source, &mut *mirror, &mut report);
            self.start(name)?;
            mended?;
            drop(claim);
            let seen = audit::AuditRequest {
                tables: report.mended_by_row(),
                repair: false,
                ..request.clone()
            };
            if !seen.tables.is_empty() {
                let seen = audit::audit(
                    &*source,
                    &mut *mirror,
                    (&seen, &duty),
                    &known,
                    &mut progress,
                )?;
                seen.check_mended()?;
            }
            self.with(name, |entry| {
                // One of some tables says nothing good of the others.
                if let Some(last) = &mut entry.last_audit
                    && request.tables.is_empty()
                {
                    last.clean = true;
                }
            })?;
        }
        Ok(report)
    }
}
