//! Many clients that all press the button in the same moment.

use rowlock_shop::history::{Operation, Request};
use tokio::sync::watch;

use crate::client::{Client, Clock};

/// Lets every client send its request at once, and waits for all answers. Latencies count from
/// the common start, whatever the machine needs to get the last one off the mark.
///
/// # Panics
/// When there are fewer clients than requests, or a client's task panicked.
pub async fn release(clients: Vec<Client>, requests: Vec<Request>, clock: Clock) -> Vec<Operation> {
    assert!(
        clients.len() >= requests.len(),
        "every request has a client of its own"
    );
    let (start, started) = watch::channel(None::<u64>);
    let buyers: Vec<_> = clients
        .into_iter()
        .zip(requests)
        .map(|(mut client, request)| {
            let mut started = started.clone();
            tokio::spawn(async move {
                let intended_ns = started
                    .wait_for(Option::is_some)
                    .await
                    .ok()
                    .and_then(|now| *now);
                let intended_ns = intended_ns.expect("the start is given before its sender goes");
                client.purchase_as_of(request, intended_ns).await
            })
        })
        .collect();
    start.send_replace(Some(clock.now_ns()));
    let mut operations = Vec::with_capacity(buyers.len());
    for buyer in buyers {
        operations.push(buyer.await.expect("a client's task does not panic"));
    }
    operations
}
