//! An honest buyer, on a thread of its own, so that no attacker of this process starves it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::HONEST;
use super::common::BOUND;
use super::common::client::purchase_request;

/// Between two purchases.
const PAUSE: Duration = Duration::from_millis(5);

/// How long each purchase took, from before the connection to the end of the answer.
#[derive(Default)]
pub(super) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn p99(&self) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        assert!(sorted.len() >= 100, "only {} purchases", sorted.len());
        sorted[sorted.len() * 99 / 100]
    }
}

/// Buys at both services in turn until it is told to stop; each purchase must be acknowledged.
pub(super) fn buy(attacked: SocketAddr, quiet: SocketAddr, stop: &AtomicBool) -> [Latencies; 2] {
    let request = purchase_request(HONEST.0, HONEST.1, None);
    let mut latencies = [Latencies::default(), Latencies::default()];
    while !stop.load(Ordering::Relaxed) {
        for (address, Latencies(latencies)) in [attacked, quiet].into_iter().zip(&mut latencies) {
            let began = Instant::now();
            let mut stream = TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(BOUND)).unwrap();
            stream.write_all(&request).unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            latencies.push(began.elapsed());
            assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        }
        thread::park_timeout(PAUSE);
    }
    latencies
}
