//! Clients that hang up at any moment.

mod common;

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use common::Shop;
use common::client::{buy, purchase_request};
use futures::future::join_all;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rowlock_testing::seed::seeds;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

const ROUNDS: usize = 100;
/// In each round, at once. Not many more than the pool's connections: a connection that was left
/// in a transaction would be healed by its next borrower's COMMIT, unseen.
const CLIENTS: usize = 8;
const ITEMS: i64 = 3;
const USERS: i64 = 12;
const STOCK: i64 = 10_000;
const BALANCE: i64 = 1_000_000;

/// When and how one client leaves.
#[derive(Debug, Clone, Copy)]
struct HangUp {
    user_id: i64,
    item_id: i64,
    with_key: bool,
    /// Of the request's bytes, how many are sent before leaving.
    sent: usize,
    /// After that, how long the client stays.
    stays: Duration,
    /// Leaves by a reset instead of an orderly end.
    resets: bool,
}

impl HangUp {
    fn choose(rng: &mut ChaCha8Rng, number: usize) -> Self {
        let (user_id, item_id) = (rng.random_range(1..=USERS), rng.random_range(1..=ITEMS));
        let with_key = rng.random_bool(0.5);
        let length = request(user_id, item_id, with_key, number).len();
        // One in eight leaves in the middle of its request.
        let sent = if rng.random_ratio(1, 8) {
            rng.random_range(0..length)
        } else {
            length
        };
        // Half of them leave about when their BEGIN is on its way.
        let longest = if rng.random_bool(0.5) { 500 } else { 6_000 };
        let stays = Duration::from_micros(rng.random_range(0..longest));
        Self {
            user_id,
            item_id,
            with_key,
            sent,
            stays,
            resets: rng.random_bool(0.5),
        }
    }

    async fn run(self, address: SocketAddr, number: usize) -> io::Result<()> {
        let request = request(self.user_id, self.item_id, self.with_key, number);
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(&request[..self.sent]).await?;
        let leave = Instant::now() + self.stays;
        // Finer than a timer's millisecond: a round trip to Postgres is 40 µs.
        while Instant::now() < leave {
            tokio::task::yield_now().await;
        }
        if self.resets {
            stream.set_zero_linger()?;
        }
        Ok(())
    }
}

fn request(user_id: i64, item_id: i64, with_key: bool, number: usize) -> Vec<u8> {
    let key = with_key.then(|| format!("client-{number}"));
    purchase_request(user_id, item_id, key.as_deref())
}

async fn open_shop() -> Shop {
    // The server's own timeouts would hide what the service leaves behind.
    let shop = Shop::open_with(|config| {
        config.pool_size = 6;
        config.idle_in_transaction_timeout_ms = 600_000;
        config.lock_timeout_ms = 600_000;
        config.statement_timeout_ms = 600_000;
    })
    .await;
    for id in 1..=ITEMS {
        shop.item(id, 7, STOCK).await;
    }
    for user_id in 1..=USERS {
        shop.wallet(user_id, BALANCE).await;
    }
    shop
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_hang_up_leave_whole_purchases_and_a_whole_pool() {
    for seed in seeds(20_251_101) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shop = open_shop().await;
        let (stock, money) = (ITEMS * STOCK, USERS * BALANCE);
        for round in 0..ROUNDS {
            let clients = (0..CLIENTS).map(|client| {
                let number = round * CLIENTS + client;
                tokio::spawn(HangUp::choose(&mut rng, number).run(shop.address, number))
            });
            for client in join_all(clients).await {
                client.unwrap().unwrap();
            }
            shop.assert_sound(stock, money).await;
        }
        let purchases = shop.number("select count(*) from purchase").await;
        println!("{purchases} purchases by {} clients", ROUNDS * CLIENTS);
        assert!(
            purchases as usize > ROUNDS * CLIENTS / 8,
            "too little was tried"
        );
        shop.assert_pool_is_full_size(1).await;
        shop.assert_sound(stock, money).await;
    }
}

#[tokio::test]
async fn purchase_that_is_under_way_outlives_its_client() {
    let shop = open_shop().await;
    let lock = shop.lock_item(1).await;
    let mut stream = TcpStream::connect(shop.address).await.unwrap();
    stream
        .write_all(&purchase_request(1, 1, Some("k")))
        .await
        .unwrap();
    shop.until_blocked(1).await;
    stream.set_zero_linger().unwrap();
    drop(stream);
    lock.rollback().await.unwrap();
    shop.until("the purchase is committed", async |shop| {
        shop.number("select count(*) from purchase").await == 1
    })
    .await;
    shop.assert_sound(ITEMS * STOCK, USERS * BALANCE).await;
    let retry = buy(shop.address, 1, 1, Some("k")).await;
    assert_eq!(retry.body["balance_left"], BALANCE - 7);
    assert_eq!(shop.number("select count(*) from purchase").await, 1);
}
