//! Statements tried on top of the state and taken back.
//!
//! The preview that ran last is *kept*: its rows stay on the executor's connection until a block or
//! another preview needs it. A list of statements that has only grown goes on from there, so each of
//! its answers costs what is new; any other one is run from its beginning. Either way it is as if all
//! had been run on the newest state: whatever changes that state drops the kept preview first.

use stele_core::outcome::Change;
use stele_core::transaction::Statement;
use stele_core::{AccountId, Hash};

use super::Engine;
use super::cancel::Cancel;
use super::error::EngineError;
use super::footprint::LeftOut;
use super::outcome::Failure;
use super::row_log::{RowLog, Stamp, net};
use super::statement::Allowance;
use crate::error::SqlError;
use crate::result::StatementResult;

/// What is to be tried.
#[derive(Clone, Copy, Debug)]
pub struct PreviewRequest<'a> {
    /// Names a list of statements **that only grows**, with its account, time and seed: what takes a
    /// statement away or changes one must give another name.
    pub id: u64,
    /// Who asks.
    pub account: AccountId,
    /// All statements so far. One with a result digest fails with 40001 when its result is another one.
    pub statements: &'a [Statement],
    /// Results are wanted from this place on.
    pub from: usize,
    /// One statement more that only reads, and of which nothing stays.
    pub extra: Option<&'a Statement>,
    /// What `now()` gives, in microseconds since 1970 UTC.
    pub now_us: i64,
    /// What `random()` is drawn from.
    pub seed: [u8; 16],
    /// Stops it with 57014, as the failure of the statement under way.
    pub cancel: Option<&'a Cancel>,
}

/// What trying gave.
#[derive(Clone, Debug, Default)]
pub struct Previewed {
    /// Results of the statements from the place asked for on, up to the first that failed; then that
    /// of the extra statement.
    pub results: Vec<StatementResult>,
    /// The first failure.
    pub failure: Option<PreviewFailure>,
    /// Height of the state it was tried on.
    pub height: u64,
}

/// Where trying failed.
#[derive(Clone, Debug)]
pub struct PreviewFailure {
    /// Place of the statement.
    pub place: usize,
    /// Why.
    pub error: SqlError,
}

/// A preview whose rows are on the executor's connection.
#[derive(Debug)]
pub(super) struct KeptPreview {
    id: u64,
    /// Statements run or left out.
    run: usize,
    left_out: LeftOut,
    allowance: Allowance,
    changes: Vec<Change>,
    /// Touches of built-in tables whose rules were checked.
    checked: u64,
}

/// When the rules of the built-in tables are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Checks {
    AtTheEnd,
    /// Dear; to find out which statement broke one.
    EachStatement,
}

impl Engine {
    /// Executes statements as the next block would and gives their results; nothing of them is ever
    /// kept as state. What the ledger cannot know before the block is not foretold: the fill of a
    /// group of the state tree, the time of the block.
    ///
    /// # Errors
    /// The node's own trouble; a block must not be open. What is wrong with a statement is no error
    /// but [`Previewed::failure`].
    pub fn preview(&mut self, request: &PreviewRequest<'_>) -> Result<Previewed, EngineError> {
        self.budget.watch(request.cancel);
        let tried = self.try_all(request);
        self.budget.watch(None);
        tried
    }

    fn try_all(&mut self, request: &PreviewRequest<'_>) -> Result<Previewed, EngineError> {
        match self.preview_checking(request, Checks::AtTheEnd)? {
            Ok(previewed) => Ok(previewed),
            // A rule was broken somewhere in between: which statement did it?
            Err(_) => match self.preview_checking(request, Checks::EachStatement)? {
                Ok(previewed) => Ok(previewed),
                Err(failure) => Ok(Previewed {
                    failure: Some(failure),
                    height: self.meta.height,
                    ..Previewed::default()
                }),
            },
        }
    }

    /// Drops the kept preview, if it is of that list of statements.
    ///
    /// # Errors
    /// When the database cannot be read any more.
    pub fn forget_preview(&mut self, id: u64) -> Result<(), EngineError> {
        match &self.preview {
            Some(kept) if kept.id == id => self.end_preview(),
            _ => Ok(()),
        }
    }

    /// Takes the kept preview's rows off the connection.
    pub(super) fn end_preview(&mut self) -> Result<(), EngineError> {
        if self.preview.take().is_some() {
            return self.rollback();
        }
        Ok(())
    }

    /// The inner error is a broken rule whose statement is not known.
    fn preview_checking(
        &mut self,
        request: &PreviewRequest<'_>,
        checks: Checks,
    ) -> Result<Result<Previewed, PreviewFailure>, EngineError> {
        if !self.goes_on(request, checks) {
            self.end_preview()?;
            let left_out = match checks {
                Checks::AtTheEnd => self.unneeded(request),
                Checks::EachStatement => LeftOut::default(),
            };
            self.begin(self.meta.height + 1)?;
            self.writer.sink(RowLog::clear);
            self.context
                .begin_read(request.now_us, request.seed, self.meta.height);
            self.preview = Some(KeptPreview {
                id: request.id,
                run: 0,
                left_out,
                allowance: Allowance::of(&self.limits),
                changes: Vec::new(),
                checked: 0,
            });
        }
        let mut previewed = Previewed {
            height: self.meta.height,
            ..Previewed::default()
        };
        // What fails is not kept: its parts are on the connection.
        let Some(mut kept) = self.preview.take() else {
            return Ok(Ok(previewed));
        };
        let ran = self.run_preview(request, checks, &mut kept, &mut previewed.results);
        let kept_for_good = ran.is_ok() && self.keeps_previews;
        self.preview = Some(kept);
        let failure = match ran.map_err(|failed| *failed) {
            Ok(()) => None,
            Err((place, Failure::Outcome(error) | Failure::Swept(error))) => Some((
                place,
                PreviewFailure {
                    place: place.unwrap_or_default(),
                    error,
                },
            )),
            Err((_, Failure::Engine(error))) => {
                self.preview = None;
                return Err(self.undone(error));
            }
        };
        if !kept_for_good {
            self.end_preview().map_err(|error| error.at(&self.path))?;
        }
        Ok(match failure {
            Some((None, failure)) => Err(failure),
            Some((Some(_), failure)) => {
                previewed.failure = Some(failure);
                Ok(previewed)
            }
            None => Ok(previewed),
        })
    }

    /// Whether the kept preview is the beginning of what is asked for.
    fn goes_on(&mut self, request: &PreviewRequest<'_>, checks: Checks) -> bool {
        // Taken out, since binding needs the engine.
        let kept = self.preview.take();
        let goes_on = kept.as_ref().is_some_and(|kept| {
            checks == Checks::AtTheEnd
                && kept.id == request.id
                && kept.run <= request.from
                && self.suffices(&kept.left_out, request)
        });
        self.preview = kept;
        goes_on
    }

    /// Runs what is new. A failure comes with its place, if that is known.
    fn run_preview(
        &mut self,
        request: &PreviewRequest<'_>,
        checks: Checks,
        kept: &mut KeptPreview,
        results: &mut Vec<StatementResult>,
    ) -> Result<(), Box<(Option<usize>, Failure)>> {
        let new = request.statements.iter().enumerate().skip(kept.run);
        for (place, statement) in new {
            if kept.left_out.holds(place) {
                kept.run = place + 1;
                continue;
            }
            let at = |failure: Failure| Box::new((Some(place), failure));
            let result = self
                .try_statement(request.account, statement, kept)
                .map_err(at)?;
            kept.run = place + 1;
            if place >= request.from {
                results.push(result);
            }
            if checks == Checks::EachStatement {
                self.check_preview(request.account, kept).map_err(at)?;
            }
        }
        self.check_preview(request.account, kept)
            .map_err(|failure| Box::new((None, failure)))?;
        if let Some(extra) = request.extra {
            let drawn = self.context.drawn();
            let allowance = kept.allowance;
            let result = self.try_statement(request.account, extra, kept);
            kept.allowance = allowance;
            self.context.draw_again_from(drawn);
            let place = Some(request.statements.len());
            results.push(result.map_err(|failure| Box::new((place, failure)))?);
        }
        Ok(())
    }

    fn try_statement(
        &mut self,
        account: AccountId,
        statement: &Statement,
        kept: &mut KeptPreview,
    ) -> Result<StatementResult, Failure> {
        let bound = self.bind(account, &statement.sql)?;
        if bound.reliance().state_root {
            let root = self.preview_root(account)?;
            self.context.set_root(root);
        }
        let stamp = self.preview_stamp();
        let mut ran = self.run_alike(
            account,
            &bound,
            std::slice::from_ref(statement),
            stamp,
            &mut kept.allowance,
            &mut kept.changes,
        )?;
        ran.pop().ok_or_else(|| {
            EngineError::Internal {
                cause: "a statement gave no result".to_owned(),
            }
            .into()
        })
    }

    fn preview_stamp(&self) -> Stamp {
        Stamp {
            height: self.meta.height + 1,
            index: 0,
        }
    }

    /// Looks at the rules that hold for a transaction as a whole.
    fn check_preview(&mut self, account: AccountId, kept: &mut KeptPreview) -> Result<(), Failure> {
        if let Some(refused) = self.writer.sink(RowLog::take_failure) {
            return Err(refused.into());
        }
        let touched = self.writer.sink(|log| log.builtin());
        if touched == kept.checked {
            return Ok(());
        }
        kept.checked = touched;
        let touches = self.writer.sink(|log| log.copy(true));
        self.taken_back(|engine| {
            engine.check_builtin(account, &mut net(touches), engine.preview_stamp())
        })
    }

    /// The root the state would have if the preview ended here.
    fn preview_root(&mut self, account: AccountId) -> Result<Hash, Failure> {
        let touches = self.writer.sink(|log| log.copy(false));
        let before = self.state.mark();
        let root = self.taken_back(|engine| {
            let stamp = engine.preview_stamp();
            let mut net = net(touches);
            engine.check_builtin(account, &mut net, stamp)?;
            let changes: Vec<Change> = net
                .changes
                .into_iter()
                .map(|net| Change::Row(net.change))
                .collect();
            engine.update_tree_now(&changes, stamp.height)?;
            Ok(engine.state.root()?)
        });
        self.state.reset(before);
        root
    }

    /// Does something in the open preview and takes its rows and touches back.
    fn taken_back<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let touches = self.writer.sink(|log| log.mark());
        self.control("SAVEPOINT trial")?;
        let done = work(self);
        if !self.writer.is_autocommit() {
            self.control("ROLLBACK TO trial")?;
            self.control("RELEASE trial")?;
        }
        self.writer.sink(|log| log.back_to(touches));
        done
    }
}
