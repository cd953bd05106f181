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
use commonware_p2p::{Address, AddressableManager as _, Receiver as _, Recipients, Sender as _};
use commonware_parallel::Sequential;
use commonware_runtime::buffer::paged::CacheRef;
use commonware_runtime::{
    Clock as _, IoBuf, Quota, Runner as _, Spawner as _, Supervisor as _, tokio,
};
use commonware_storage::archive::prunable;
use commonware_storage::translator::EightCap;
use commonware_stream::cups::{self, Cups};
use commonware_stream::sake::{self, Sake};
use commonware_utils::{NZDuration, NZU16, NZU32, NZU64, NZUsize, ordered};
use futures::StreamExt as _;
use parking_lot::Mutex;

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
const WIRE_LEN_MAX: u32 = CARRIED_LEN_MAX as u32 + 64 * 1024;
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

async fn order(
    context: &tokio::Context,
    config: BftConfig,
    voter: &Arc<dyn Voter>,
    outbox: Outbox,
    inbox: Arc<Inbox>,
) -> Result<(), String> {
    let unfit = |what: &str| format!("the ordering engine cannot be started: {what}");
    let secret = ed25519::PrivateKey::decode(Copying(&config.secret.seed()))
        .map_err(|error| unfit(&error.to_string()))?;
    let me = secret.public_key();
    let mut namespace = b"stele/1/".to_vec();
    namespace.extend_from_slice(&config.ledger.0);
    namespace.extend_from_slice(&config.base.height.to_be_bytes());

    let mut peers: Vec<(ed25519::PublicKey, Address)> = Vec::new();
    for peer in &config.validators {
        let key = engine_key(&peer.key).ok_or_else(|| unfit("a validator's key is none"))?;
        peers.push((key, peer.address.into()));
    }
    let keys: Vec<ed25519::PublicKey> = peers.iter().map(|(key, _)| key.clone()).collect();
    let keys: ordered::Set<ed25519::PublicKey> = keys
        .try_into()
        .map_err(|_| unfit("two validators have one key"))?;
    let peers: ordered::Map<ed25519::PublicKey, Address> = peers
        .try_into()
        .map_err(|_| unfit("two validators have one key"))?;
    let count =
        NonZeroUsize::new(config.validators.len()).ok_or_else(|| unfit("there is no validator"))?;
    let scheme = Scheme::signer(&namespace, keys, secret.clone())
        .ok_or_else(|| unfit("this node's key is no validator's"))?;

    let handshake = Cups::<_, ChaCha20Poly1305>::new(
        Sake {
            signer: secret,
            synchrony_bound: CLOCK_SKEW_MAX,
            max_handshake_age: HANDSHAKE_AGE_MAX,
            version: sake::Version::V1,
        },
        cups::Version::V1,
    );
    let mut network_config = lookup::Config::local(
        handshake,
        &namespace,
        config.listen,
        count,
        WIRE_LEN_MAX,
        MAILBOX,
    );
    network_config.tracked_peer_sets = NZUsize!(2);
    network_config.bypass_ip_check = true;
    let (mut network, mut oracle) = Network::new(context.child("network"), network_config);
    oracle.track(0, peers);
    let votes = network.register(VOTES.0, VOTES.1);
    let certificates = network.register(CERTIFICATES.0, CERTIFICATES.1);
    let resolving = network.register(RESOLVER.0, RESOLVER.1);
    let backfill = network.register(BACKFILL.0, BACKFILL.1);
    let blocks = network.register(BLOCKS.0, BLOCKS.1);
    let (mut message_sender, mut message_receiver) = network.register(MESSAGES.0, MESSAGES.1);

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
            peer_provider: oracle.clone(),
            strategy: Sequential,
        },
    );
    buffer_engine.start(blocks);
    let resolver = resolver::init(
        context.child("backfill"),
        resolver::Config {
            public_key: me.clone(),
            peer_provider: oracle.clone(),
            blocker: oracle.clone(),
            mailbox_size: MAILBOX,
            fetch_timeout: NZDuration!(Duration::from_secs(1)),
            fetch_retry_delay: Duration::from_millis(100),
            priority_requests: false,
            priority_responses: false,
        },
        backfill,
    );
    let finalizations = archive(
        "finalizations",
        &cache,
        Scheme::certificate_codec_config_unbounded(),
    );
    let finalizations = prunable::Archive::init(context.child("finalizations"), finalizations)
        .await
        .map_err(|error| unfit(&error.to_string()))?;
    let finals = archive("blocks", &cache, origin);
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
            partition_prefix: "marshal".to_owned(),
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
    marshal.start(Sink(inbox), buffer, resolver);
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
            blocker: oracle.clone(),
            automaton: inline.clone(),
            relay: inline.clone(),
            reporter: Reporters::from((inline, conflicts)),
            track_historical_votes: true,
            strategy: Sequential,
            partition: "simplex".to_owned(),
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
    engine.start(votes, certificates, resolving);
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
    network.start();
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
