use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use stele_core::block::Header;
use stele_core::crypto::PublicKey;
use stele_core::{Hash, Suite};

use super::*;

#[derive(Default)]
struct Script {
    wanted: Mutex<u64>,
    delivered: Mutex<Vec<u64>>,
    failures: Mutex<VecDeque<DeliverError>>,
    stalls: Mutex<Vec<Option<String>>>,
}

impl Application for Script {
    fn due(&self) -> Due {
        if *self.wanted.lock() > self.delivered.lock().len() as u64 {
            Due::Now
        } else {
            Due::Idle
        }
    }

    fn propose(&self) -> Option<OrderedBlock> {
        let header = Header {
            ledger: Hash::ZERO,
            height: self.delivered.lock().len() as u64 + 1,
            parent: Hash::ZERO,
            time_us: 0,
            proposer: PublicKey([0; 32]),
            transaction_count: 0,
            transaction_root: Hash::ZERO,
            certificate: Vec::new(),
        };
        let hash = header.hash(Suite::default());
        Some(OrderedBlock {
            certificate: None,
            header,
            hash,
            bytes: Vec::new(),
        })
    }

    fn deliver(&self, block: &OrderedBlock) -> Result<(), DeliverError> {
        match self.failures.lock().pop_front() {
            Some(error) => Err(error),
            None => {
                self.delivered.lock().push(block.header.height);
                Ok(())
            }
        }
    }

    fn stalled(&self, reason: Option<&str>) {
        self.stalls.lock().push(reason.map(str::to_owned));
    }

    fn halted(&self, _reason: &str) {}
}

#[test]
fn orders_until_nothing_is_wanted() {
    let script = Arc::new(Script::default());
    *script.wanted.lock() = 2;
    let mut solo = Solo::new(script.clone());
    assert_eq!(solo.step(), Step::Again);
    assert_eq!(solo.step(), Step::Again);
    assert_eq!(solo.step(), Step::Wait(None));
    assert_eq!(*script.delivered.lock(), [1, 2]);
}

#[test]
fn a_block_that_found_no_room_is_delivered_again_before_any_other() {
    let script = Arc::new(Script::default());
    *script.wanted.lock() = 2;
    let full = DeliverError::Later("no room".to_owned());
    script.failures.lock().extend([full.clone(), full]);
    let mut solo = Solo::new(script.clone());
    assert_eq!(solo.step(), Step::Retry(RETRY_INTERVAL));
    assert_eq!(solo.step(), Step::Retry(RETRY_INTERVAL));
    assert_eq!(solo.step(), Step::Again);
    assert_eq!(solo.step(), Step::Again);
    assert_eq!(*script.delivered.lock(), [1, 2]);
    let told = script.stalls.lock().clone();
    assert_eq!(
        told,
        [Some("no room".to_owned()), Some("no room".to_owned()), None]
    );
}

#[test]
fn a_halt_ends_ordering() {
    let script = Arc::new(Script::default());
    *script.wanted.lock() = 1;
    script
        .failures
        .lock()
        .push_back(DeliverError::Halt("bad root".to_owned()));
    let mut solo = Solo::new(script.clone());
    assert_eq!(solo.step(), Step::Halt("bad root".to_owned()));
    assert!(script.delivered.lock().is_empty());
}

#[test]
fn runs_on_a_thread_until_stopped() {
    let script = Arc::new(Script::default());
    let handle = start(script.clone(), &Runtime::real()).unwrap();
    *script.wanted.lock() = 3;
    handle.wake();
    while script.delivered.lock().len() < 3 {
        std::thread::yield_now();
    }
    handle.stop();
    handle.stop();
    assert_eq!(*script.delivered.lock(), [1, 2, 3]);
}
