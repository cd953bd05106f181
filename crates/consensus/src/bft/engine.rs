//! The engine's parts, put together.

use std::num::{NonZeroU16, NonZeroU64, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use commonware_broadcast::buffered;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_consensus::Reporters;
use commonware_consensus::marshal::core::Actor;
use commonware_consensus::marshal::resolver::p2p as resolver;
use commonware_consensus::marshal::standard::{Inline, Standard};
use commonware_consensus::marshal::{Config as MarshalConfig, Start};
use commonware_consensus::simplex::config::{
    Config as SimplexConfig, Floor, ForwardPolicy, SkipBudget, SkipPolicy,
};
use commonware_consensus::simplex::elector::RoundRobin;
use commonware_consensus::simplex::scheme::ed25519::Scheme;
use commonware_consensus::simplex::{self};
use commonware_consensus::types::{Epoch, FixedEpocher, ViewDelta};
use commonware_cryptography::certificate::{ConstantProvider, Verifier as _};
use commonware_cryptography::sha256::Sha256;
use commonware_cryptography::{ChaCha20Poly1305, Digested, Digestible as _, Signer as _, ed25519};
use commonware_p2p::authenticated::lookup::{self, Network};
use commonware_p2p::{
    Address, AddressableManager as _, Blocker, Provider, Receiver, Recipients, Sender,
};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{
    Clock, IoBuf, Metrics, Quota, Runner as _, Spawner, Storage, Supervisor as _, tokio,
};
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::{NZDuration, NZU16, NZU32, NZU64, NZUsize, ordered};
use futures::StreamExt as _;
use parking_lot::Mutex;
use rand_core::CryptoRng;

use super::automaton::{Automaton, engine_key, plain_key};
use super::block::{CARRIED_LEN_MAX, Carried, Origin};
use super::conflicts::Conflicts;
use super::deliver::{Inbox, Sink};
use super::messages::Outbox;
use super::{BftConfig, INTERVAL_MIN};
use crate::application::Voter;
use crate::handle::Signal;

/// Threads of the engine's runtime.
const THREADS: usize = 2;
/// Clocks of peers may differ so much, and a handshake be so old.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5);
const HANDSHAKE_AGE_MAX: Duration = Duration::from_secs(10);
/// Longest message between peers: a block with what the engine puts around it.
pub(super) const WIRE_LEN_MAX: u32 = CARRIED_LEN_MAX as u32 + 64 * 1024;
/// What a leader is waited for beyond the time between two blocks.
const LEADER_PATIENCE: Duration = Duration::from_secs(1);
/// Blocks of one engine: more than there will be.
const EPOCH_LEN: NonZeroU64 = NZU64!(1 << 62);
/// Views whose votes are kept behind the newest final one.
const VIEWS_KEPT: u64 = 256;
/// Final blocks given to the node without an answer.
const PENDING_MAX: NonZeroUsize = NZUsize!(16);
const MAILBOX: NonZeroUsize = NZUsize!(1_024);
const BUFFER: NonZeroUsize = NZUsize!(256 * 1024);
const PAGE_LEN: NonZeroU16 = NZU16!(4_096);
const PAGES: NonZeroUsize = NZUsize!(512);
const SECTION: NonZeroU64 = NZU64!(256);
/// How often it is looked whether the node stops.
const STOP_POLL: Duration = Duration::from_millis(10);

/// How often it is asked whether this node may vote.
const MAY_VOTE_POLL: Duration = Duration::from_millis(20);

/// Messages a second of a peer, by channel.
const VOTES: (u64, Quota) = (0, Quota::per_second(NZU32!(256)));
const CERTIFICATES: (u64, Quota) = (1, Quota::per_second(NZU32!(256)));
const RESOLVER: (u64, Quota) = (2, Quota::per_second(NZU32!(64)));
const BACKFILL: (u64, Quota) = (3, Quota::per_second(NZU32!(64)));
const BLOCKS: (u64, Quota) = (4, Quota::per_second(NZU32!(64)));
const MESSAGES: (u64, Quota) = (5, Quota::per_second(NZU32!(256)));

/// Runs the engine until it is told to stop.
pub(super) fn run(
    config: BftConfig,
    voter: &Arc<dyn Voter>,
    outbox: Outbox,
    inbox: &Arc<Inbox>,
    signal: &Arc<Signal>,
) {
    let runner = tokio::Runner::new(
        tokio::Config::new()
            .with_worker_threads(THREADS)
            .with_tcp_nodelay(Some(true))
            .with_storage_directory(config.directory.clone()),
    );
    let (voter, inbox, signal) = (voter.clone(), inbox.clone(), signal.clone());
    runner.start(|context| async move {
        if let Err(reason) = order(&context, config, &voter, outbox, inbox).await {
            voter.halted(&reason);
            return;
        }
        while !signal.stopping() {
            context.sleep(STOP_POLL).await;
        }
    });
}

/// Who this node is among the validators.
pub(super) struct Identity {
    pub(super) secret: ed25519::PrivateKey,
    pub(super) me: ed25519::PublicKey,
    pub(super) namespace: Vec<u8>,
    pub(super) scheme: Scheme,
}

fn unfit(what: &str) -> String {
    format!("the ordering engine cannot be started: {what}")
}

impl Identity {
    pub(super) fn of(config: &BftConfig) -> Result<Self, String> {
        let secret = ed25519::PrivateKey::decode(Copying(&config.secret.seed()))
            .map_err(|error| unfit(&error.to_string()))?;
        let mut namespace = b"stele/1/".to_vec();
        namespace.extend_from_slice(&config.ledger.0);
        namespace.extend_from_slice(&config.base.height.to_be_bytes());
        let mut keys = Vec::new();
        for peer in &config.validators {
            keys.push(engine_key(&peer.key).ok_or_else(|| unfit("a validator's key is none"))?);
        }
        let keys: ordered::Set<ed25519::PublicKey> = keys
            .try_into()
            .map_err(|_| unfit("two validators have one key"))?;
        let scheme = Scheme::signer(&namespace, keys, secret.clone())
            .ok_or_else(|| unfit("this node's key is no validator's"))?;
        Ok(Self {
            me: secret.public_key(),
            secret,
            namespace,
            scheme,
        })
    }
}

/// The channels to the others, each a sender and a receiver.
pub(super) struct Channels<S, R> {
    pub(super) votes: (S, R),
    pub(super) certificates: (S, R),
    pub(super) resolving: (S, R),
    pub(super) backfill: (S, R),
    pub(super) blocks: (S, R),
    pub(super) messages: (S, R),
}

/// Numbers of the channels, and messages a second of a peer, in the order of [`Channels`].
pub(super) const CHANNELS: [(u64, Quota); 6] =
    [VOTES, CERTIFICATES, RESOLVER, BACKFILL, BLOCKS, MESSAGES];

async fn order(
    context: &tokio::Context,
    config: BftConfig,
    voter: &Arc<dyn Voter>,
    outbox: Outbox,
    inbox: Arc<Inbox>,
) -> Result<(), String> {
    let identity = Identity::of(&config)?;
    let mut peers: Vec<(ed25519::PublicKey, Address)> = Vec::new();
    for peer in &config.validators {
        let key = engine_key(&peer.key).ok_or_else(|| unfit("a validator's key is none"))?;
        peers.push((key, peer.address.into()));
    }
    let peers: ordered::Map<ed25519::PublicKey, Address> = peers
        .try_into()
        .map_err(|_| unfit("two validators have one key"))?;
    let count =
        NonZeroUsize::new(config.validators.len()).ok_or_else(|| unfit("there is no validator"))?;
    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: identity.secret.clone(),
            synchrony_bound: CLOCK_SKEW_MAX,
            max_handshake_age: HANDSHAKE_AGE_MAX,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let mut network_config = lookup::Config::local(
        handshake,
        &identity.namespace,
        config.listen,
        count,
        WIRE_LEN_MAX,
        MAILBOX,
    );
    network_config.tracked_peer_sets = NZUsize!(2);
    network_config.bypass_ip_check = true;
    let (mut network, mut oracle) = Network::new(context.child("network"), network_config);
    oracle.track(0, peers);
    let [votes, certificates, resolving, backfill, blocks, messages] =
        CHANNELS.map(|(number, quota)| network.register(number, quota));
    let channels = Channels {
        votes,
        certificates,
        resolving,
        backfill,
        blocks,
        messages,
    };
    let outside = Outside {
        peers: oracle.clone(),
        blocker: oracle,
        channels,
        voter: voter.clone(),
        outbox,
        sink: Sink(inbox),
    };
    assemble(context, &config, "", identity, outside).await?;
    network.start();
    Ok(())
}

/// What the parts are connected to.
pub(super) struct Outside<S, R, P, B> {
    pub(super) peers: P,
    pub(super) blocker: B,
    pub(super) channels: Channels<S, R>,
    pub(super) voter: Arc<dyn Voter>,
    pub(super) outbox: Outbox,
    pub(super) sink: Sink,
}

/// Starts the parts of an engine on any runtime and network. Their files have names that begin with `prefix`.
pub(super) async fn assemble<E, S, R, P, B>(
    context: &E,
    config: &BftConfig,
    prefix: &str,
    identity: Identity,
    outside: Outside<S, R, P, B>,
) -> Result<(), String>
where
    E: Clock + CryptoRng + Spawner + Storage + Metrics,
    S: Sender<PublicKey = ed25519::PublicKey>,
    R: Receiver<PublicKey = ed25519::PublicKey>,
    P: Provider<PublicKey = ed25519::PublicKey>,
    B: Blocker<PublicKey = ed25519::PublicKey>,
{
    let Identity { me, scheme, .. } = identity;
    let Outside {
        peers,
        blocker,
        channels,
        voter,
        outbox,
        sink,
    } = outside;
    let (mut message_sender, mut message_receiver) = channels.messages;
    let origin = Origin {
        suite: config.suite,
        base: config.base,
    };
    let base = Carried::base(&origin);
    let base_digest = base.digest();
    let cache = CacheRef::new(PAGE_LEN, PAGES);
    let (buffer_engine, buffer) = buffered::Engine::new(
        context.child("buffer"),
        buffered::Config {
            public_key: me.clone(),
            mailbox_size: MAILBOX,
            deque_size: 16,
            priority: true,
            codec_config: origin,
            peer_provider: peers.clone(),
            strategy: Sequential,
        },
    );
    buffer_engine.start(channels.blocks);
    let resolver = resolver::init(
        context.child("backfill"),
        resolver::Config {
            public_key: me.clone(),
            peer_provider: peers.clone(),
            blocker: blocker.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        channels.backfill,
    );
    let finalizations = archive(
        &format!("{prefix}finalizations"),
        &cache,
        Scheme::certificate_codec_config_unbounded(),
    );
    let finalizations = prunable::Archive::init(context.child("finalizations"), finalizations)
        .await
        .map_err(|error| unfit(&error.to_string()))?;
    let finals = archive(&format!("{prefix}blocks"), &cache, origin);
    let finals = prunable::Archive::init(context.child("blocks"), finals)
        .await
        .map_err(|error| unfit(&error.to_string()))?;
    let epocher = FixedEpocher::new(EPOCH_LEN);
    let (marshal, mailbox, _) = Actor::<_, Standard<Carried>, _, _, _, _, _>::init(
        context.child("marshal"),
        finalizations,
        finals,
        MarshalConfig {
            provider: ConstantProvider::<Scheme, Epoch>::new(scheme.clone()),
            epocher: epocher.clone(),
            start: Start::Genesis(Digested::precomputed(base, base_digest)),
            partition_prefix: format!("{prefix}marshal"),
            mailbox_size: MAILBOX,
            view_retention: ViewDelta::new(VIEWS_KEPT),
            prunable_items_per_section: SECTION,
            page_cache: cache.clone(),
            replay_buffer: BUFFER,
            key_write_buffer: BUFFER,
            value_write_buffer: BUFFER,
            block_codec_config: origin,
            max_repair: NZUsize!(16),
            max_pending_acks: PENDING_MAX,
            strategy: Sequential,
        },
    )
    .await;
    let interval = config.interval.max(INTERVAL_MIN);
    let automaton = Automaton {
        voter: voter.clone(),
        origin,
        interval,
    };
    let inline = Inline::new(context.child("inline"), automaton, mailbox, epocher);
    marshal.start(sink, buffer, resolver);
    let conflicts = Conflicts {
        scheme: scheme.clone(),
        random: Arc::new(Mutex::new(context.child("conflicts"))),
        voter: voter.clone(),
    };
    let leader_timeout = interval + LEADER_PATIENCE;
    let certification_timeout = leader_timeout + LEADER_PATIENCE;
    let engine = simplex::Engine::new(
        context.child("simplex"),
        SimplexConfig {
            scheme,
            elector: RoundRobin::<Sha256>::default(),
            blocker: blocker.clone(),
            automaton: inline.clone(),
            relay: inline.clone(),
            reporter: Reporters::from((inline, conflicts)),
            track_historical_votes: true,
            strategy: Sequential,
            partition: format!("{prefix}simplex"),
            mailbox_size: MAILBOX,
            epoch: Epoch::zero(),
            floor: Floor::Genesis(base_digest),
            replay_buffer: BUFFER,
            write_buffer: BUFFER,
            page_cache: cache,
            leader_timeout,
            certification_timeout,
            timeout_retry: Duration::from_secs(2),
            view_retention: ViewDelta::new(VIEWS_KEPT),
            skip: SkipPolicy::Enabled {
                timeout: certification_timeout + Duration::from_secs(2),
                budget: SkipBudget::Participants,
            },
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            forward: ForwardPolicy::SilentVoters,
        },
    );
    let told = voter.clone();
    context.child("received").spawn(move |_| async move {
        while let Ok((from, message)) = message_receiver.recv().await {
            if let Some(from) = plain_key(&from) {
                told.received(from, message.as_ref().to_vec());
            }
        }
    });
    let mut outbox = outbox.0;
    context.child("messages").spawn(move |_| async move {
        while let Some((to, message)) = outbox.next().await {
            let to = match to.as_ref().map(engine_key) {
                None => Recipients::All,
                Some(Some(key)) => Recipients::One(key),
                Some(None) => continue,
            };
            message_sender.send(to, IoBuf::from(message), false);
        }
    });
    // Votes of every kind, not only those for blocks.
    context.child("voting").spawn(move |context| async move {
        while !voter.may_vote() {
            context.sleep(MAY_VOTE_POLL).await;
        }
        let voting = engine.start(channels.votes, channels.certificates, channels.resolving);
        if let Err(error) = voting.await {
            tracing::error!(%error, "voting has ended");
        }
    });
    Ok(())
}

/// Where an archive of the engine's lies.
fn archive<C>(name: &str, cache: &CacheRef, codec_config: C) -> prunable::Config<EightCap, C> {
    prunable::Config {
        translator: EightCap,
        metadata_partition: format!("{name}-metadata"),
        key_partition: format!("{name}-keys"),
        key_page_cache: cache.clone(),
        value_partition: format!("{name}-values"),
        compression: None,
        codec_config,
        items_per_section: SECTION,
        key_write_buffer: BUFFER,
        value_write_buffer: BUFFER,
        replay_buffer: BUFFER,
    }
}
