//! What the engine asks of the node: to build a block, and to check one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use commonware_codec::{Copying, DecodeExt as _};
use commonware_consensus::marshal::ancestry::Ancestry;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::types::Context;
use commonware_cryptography::Digested;
use commonware_cryptography::ed25519;
use commonware_cryptography::sha256::Digest;
use commonware_runtime::{Clock, Spawner};
use futures::StreamExt as _;
use stele_core::Hash;
use stele_core::block::BlockView;
use stele_core::crypto::PublicKey;

use super::block::{Carried, Origin, digest};
use crate::application::{Verdict, Voter};

/// How often a leader with nothing to order looks again, and a block whose time has not come is checked again.
const LOOK_INTERVAL: Duration = Duration::from_millis(3);

#[derive(Clone)]
pub(super) struct Automaton {
    pub(super) voter: Arc<dyn Voter>,
    pub(super) origin: Origin,
    pub(super) interval: Duration,
}

/// A key of the engine's as ours.
pub(super) fn plain_key(key: &ed25519::PublicKey) -> Option<PublicKey> {
    Some(PublicKey(key.as_ref().try_into().ok()?))
}

/// A key of ours as the engine's.
pub(super) fn engine_key(key: &PublicKey) -> Option<ed25519::PublicKey> {
    ed25519::PublicKey::decode(Copying(&key.0)).ok()
}

impl Automaton {
    /// Transactions of the blocks that are not applied yet, from the parent down.
    async fn ordered(
        &self,
        mut next: Digested<Carried>,
        mut ancestry: impl Ancestry<Carried>,
    ) -> Option<HashSet<Hash>> {
        let mut ordered = HashSet::new();
        loop {
            let Some(block) = next.inner().ordered() else {
                return Some(ordered);
            };
            if block.header.height <= self.voter.height() {
                return Some(ordered);
            }
            let view = BlockView::parse(&block.bytes).ok()?;
            ordered.extend(view.transaction_ids(self.origin.suite).ok()?);
            next = ancestry.next().await?;
        }
    }
}

impl<E: Clock + Spawner> commonware_consensus::Application<E> for Automaton {
    type SigningScheme = Scheme;
    type Context = Context<Digest, ed25519::PublicKey>;
    type Block = Carried;
    type Input = ();

    async fn propose(
        &mut self,
        (runtime, _): (E, Self::Context),
        mut ancestry: impl Ancestry<Carried>,
        (): (),
    ) -> Option<Digested<Carried>> {
        let parent = ancestry.next().await?;
        let link = parent.inner().link();
        let ordered = self.ordered(parent, ancestry).await?;
        let interval_us = i64::try_from(self.interval.as_micros()).unwrap_or(i64::MAX);
        let due_us = link.time_us.saturating_add(interval_us);
        // Until there is something to order; the engine drops this when the view's time is over.
        loop {
            let early_us = due_us.saturating_sub(self.voter.now_us());
            if early_us <= 0
                && let Some(block) = self.voter.propose_on(link, &ordered)
            {
                let hash = digest(block.hash);
                return Some(Digested::precomputed(
                    Carried::new(&self.origin, block),
                    hash,
                ));
            }
            let early = Duration::from_micros(u64::try_from(early_us).unwrap_or(0));
            runtime.sleep(early.max(LOOK_INTERVAL)).await;
        }
    }

    async fn verify(
        &mut self,
        (runtime, context): (E, Self::Context),
        mut ancestry: impl Ancestry<Carried>,
    ) -> bool {
        let (Some(block), Some(parent)) = (ancestry.next().await, ancestry.next().await) else {
            return false;
        };
        let Some(leader) = plain_key(&context.leader) else {
            return false;
        };
        let link = parent.inner().link();
        loop {
            let (voter, block) = (self.voter.clone(), block.clone());
            let check = move || match block.inner().ordered() {
                None => Verdict::Invalid("it is the block the engine began after".to_owned()),
                Some(block) => voter.check(link, block, leader),
            };
            // Signatures take their time: not on the thread that votes.
            let checked = runtime
                .child("check")
                .shared(true)
                .spawn(move |_| async move { check() });
            match checked.await {
                Ok(Verdict::Valid) => return true,
                Ok(Verdict::NotYet) => runtime.sleep(LOOK_INTERVAL).await,
                Ok(Verdict::Invalid(reason)) => {
                    tracing::warn!(
                        height = link.height + 1,
                        leader = leader.to_hex(),
                        reason,
                        "a proposed block is refused"
                    );
                    return false;
                }
                Err(error) => {
                    tracing::error!(%error, "a proposed block could not be checked");
                    return false;
                }
            }
        }
    }
}
