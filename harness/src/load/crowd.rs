//! Many clients that all begin in the same moment.

use tokio::sync::watch;

use crate::client::Clock;

/// Lets all `clients` begin at once, and waits for all of them: what each came to, in their order.
/// Each is told the common start, by `clock` in ns, from which its time counts, whatever the machine
/// needs to get the last one off the mark.
///
/// # Panics
/// When a client panics.
pub async fn release<C, F>(clients: impl IntoIterator<Item = C>, clock: Clock) -> Vec<F::Output>
where
    C: FnOnce(u64) -> F + Send + 'static,
    F: Future<Output: Send + 'static> + Send + 'static,
{
    let (start, started) = watch::channel(None::<u64>);
    let clients = clients.into_iter().map(|begin| {
        let mut started = started.clone();
        tokio::spawn(async move {
            let now = started.wait_for(Option::is_some).await;
            let intended_ns = now.ok().and_then(|now| *now);
            begin(intended_ns.expect("the start is given before its sender goes")).await
        })
    });
    let clients: Vec<_> = clients.collect();
    start.send_replace(Some(clock.now_ns()));
    let mut all = Vec::with_capacity(clients.len());
    for client in clients {
        all.push(client.await.expect("a client's task does not panic"));
    }
    all
}
