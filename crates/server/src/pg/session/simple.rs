//! The simple protocol: a text with statements.

use stele_sql::SqlError;

use super::Session;
use super::plan::Work;
use super::run::Delivery;
use crate::pg::error::moved;
use crate::pg::scanner::{Piece, split};

impl Session {
    /// Runs all statements of a message as one transaction and says that the session is ready.
    pub(super) async fn query(&mut self, text: &str) {
        if let Err(error) = self.query_pieces(text).await {
            self.fail(error);
        }
        // A COPY says that the session is ready once it has ended.
        if self.copying.is_none() {
            self.finish_batch();
        }
    }

    async fn query_pieces(&mut self, text: &str) -> Result<(), SqlError> {
        let pieces = split(text)?;
        if pieces.is_empty() {
            self.next_replies().empty_query();
        }
        for (place, piece) in pieces.iter().enumerate() {
            let after = pieces.get(place + 1..).unwrap_or_default();
            self.query_piece(*piece, after).await?;
            if self.copying.is_some() {
                return Ok(());
            }
        }
        self.end_batch().await
    }

    async fn query_piece(&mut self, piece: Piece<'_>, after: &[Piece<'_>]) -> Result<(), SqlError> {
        self.start_clock();
        let work = self
            .prepare(piece.sql, &[])
            .map_err(|error| moved(error, piece.characters_before))?;
        let delivery = Delivery::simple(piece.characters_before);
        match work {
            Work::Empty => Ok(()),
            Work::Command(command) => self.control(&command, &delivery).await,
            Work::Plan(plan) | Work::Declare(plan, _) | Work::Proof(plan, _)
                if !plan.parameters.is_empty() =>
            {
                Err(SqlError::new("42P02", "there is no parameter $1")
                    .hint("Parameters need the extended protocol: use the driver's own."))
            }
            Work::Declare(plan, declaration) => {
                self.declare(&plan, &declaration, Vec::new(), &delivery)
            }
            Work::Proof(plan, query) => self.prove(&query, &plan, Vec::new(), delivery),
            Work::Writes(plans) => self.run_all(&plans, &delivery),
            Work::Explain(plan) => self.explain(&plan, delivery),
            Work::CopyOut(plan, copy) => self.copy_out(&copy, &plan),
            Work::CopyIn(copy) => {
                let rest: Vec<&str> = after.iter().map(|piece| piece.sql).collect();
                self.copy_in(&copy, Some(rest.join(";")))
            }
            Work::Plan(plan) => self.run(&plan, Vec::new(), delivery),
        }
    }
}
