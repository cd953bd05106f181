use std::collections::VecDeque;

use stele_core::block::{Block, Header};
use stele_core::crypto::PublicKey;
use stele_core::{Encode, Hash};

use super::*;
use crate::application::Due;

#[derive(Default)]
struct Script {
    answers: Mutex<VecDeque<Result<Vec<CertifiedBlock>, String>>>,
    asked: Mutex<Vec<u64>>,
    failures: Mutex<VecDeque<DeliverError>>,
    delivered: Mutex<Vec<(u64, Option<String>)>>,
    stalls: Mutex<Vec<Option<String>>>,
}

impl Upstream for Script {
    fn name(&self) -> String {
        "the server".to_owned()
    }

    fn blocks_after(&self, height: u64) -> Result<Vec<CertifiedBlock>, String> {
        self.asked.lock().push(height);
        self.answers.lock().pop_front().unwrap_or(Ok(Vec::new()))
    }
}

impl Application for Script {
    fn due(&self) -> Due {
        Due::Idle
    }

    fn propose(&self) -> Option<OrderedBlock> {
        None
    }

    fn deliver(&self, block: &OrderedBlock) -> Result<(), DeliverError> {
        if let Some(error) = self.failures.lock().pop_front() {
            return Err(error);
        }
        let told = (block.header.height, block.certificate.clone());
        self.delivered.lock().push(told);
        Ok(())
    }

    fn stalled(&self, reason: Option<&str>) {
        self.stalls.lock().push(reason.map(str::to_owned));
    }

    fn halted(&self, _reason: &str) {}
}

fn block(height: u64) -> CertifiedBlock {
    let header = Header {
        ledger: Hash::ZERO,
        height,
        parent: Hash::ZERO,
        time_us: 0,
        proposer: PublicKey([0; 32]),
        transaction_count: 0,
        transaction_root: Hash::ZERO,
        certificate: Vec::new(),
    };
    let block = Block {
        header,
        transactions: Vec::new(),
    };
    CertifiedBlock {
        block: block.encode_to_vec(),
        certificate: format!("note {height}"),
    }
}

fn follow(script: &Arc<Script>) -> Follow {
    Follow::new(script.clone(), script.clone(), Suite::default(), 4)
}

#[test]
fn blocks_are_delivered_in_order_with_their_certificates() {
    let script = Arc::new(Script::default());
    script
        .answers
        .lock()
        .push_back(Ok(vec![block(5), block(6)]));
    let mut follow = follow(&script);
    assert_eq!(follow.step(), Step::Again);
    assert_eq!(follow.step(), Step::Again);
    assert_eq!(*script.asked.lock(), [4, 6]);
    let notes = [5, 6].map(|height| (height, Some(format!("note {height}"))));
    assert_eq!(*script.delivered.lock(), notes);
    assert!(script.stalls.lock().is_empty());
}

#[test]
fn a_block_that_found_no_room_is_asked_for_again() {
    let script = Arc::new(Script::default());
    for _ in 0..2 {
        script.answers.lock().push_back(Ok(vec![block(5)]));
    }
    let full = DeliverError::Later("no room".to_owned());
    script.failures.lock().push_back(full);
    let mut follow = follow(&script);
    assert_eq!(follow.step(), Step::Retry(RETRY_INTERVAL));
    assert_eq!(follow.step(), Step::Again);
    assert_eq!(*script.asked.lock(), [4, 4]);
    assert_eq!(*script.stalls.lock(), [Some("no room".to_owned()), None]);
}

#[test]
fn a_silent_server_is_asked_again_and_a_lie_ends_it() {
    let script = Arc::new(Script::default());
    script.answers.lock().push_back(Err("silent".to_owned()));
    let nonsense = CertifiedBlock {
        block: vec![1, 2],
        certificate: String::new(),
    };
    script
        .answers
        .lock()
        .push_back(Ok(vec![block(5), nonsense]));
    let mut follow = follow(&script);
    assert_eq!(follow.step(), Step::Retry(RETRY_INTERVAL));
    let Step::Halt(reason) = follow.step() else {
        panic!("a block that does not decode must end it")
    };
    assert!(reason.contains("the server lies: its block 6"), "{reason}");
    assert_eq!(
        script.delivered.lock().len(),
        1,
        "what came before it was good"
    );
}
