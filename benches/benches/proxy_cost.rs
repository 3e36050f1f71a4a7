//! What the proxy costs when nobody drives it, as a share of the direct connection's rate.
//!
//! Direct and proxied pgbench runs alternate on one server, so that whatever else
//! the machine does falls on both, and only the median of the rounds' ratios is judged. The proxy
//! has a thread of its own here, as beside a target. The target's side is TCP, like the direct
//! connection; the server's side is its Unix socket, as wherever a server has one, and the ratio
//! with its port instead is shown beside. So is the ratio of a forwarder that copies bytes and
//! looks at none: what any process in between costs on this machine, and the bound of what a proxy
//! can reach on it.
//!
//! Commits wait for the disk (fsync), but the disk of a virtual machine may answer a flush at once,
//! and then they wait for the processor alone. So the tpcb-like load is run a second time where each
//! flush takes a millisecond longer (`commit_delay`), as one on a disk of its own or in a cloud
//! does. Not by criterion: what is measured is a rate under load, not the time of a
//! call. `BENCH_SECONDS` and `BENCH_ROUNDS` set the length of each run and how many there are;
//! PG_BIN says where pgbench is, if not in PATH.

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use benches::setting;
use rowlock_postgres::{Provider, Server, Settings};
use rowlock_proxy::{Address, Control, Proxy, Recording};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::runtime::{Builder, Runtime};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Workload {
    name: &'static str,
    arguments: &'static [&'static str],
    /// The server's settings for the sessions (`PGOPTIONS`).
    options: &'static str,
    at_least: f64,
}

const WORKLOADS: [Workload; 3] = [
    Workload {
        name: "select only",
        arguments: &["-S", "-M", "prepared", "-c", "8"],
        options: "",
        at_least: 0.8,
    },
    Workload {
        name: "tpcb-like",
        arguments: &["-M", "prepared", "-c", "8"],
        options: "",
        at_least: 0.9,
    },
    Workload {
        name: "tpcb-like, flush + 1 ms",
        arguments: &["-M", "prepared", "-c", "8"],
        options: "-c commit_delay=1000 -c commit_siblings=0",
        at_least: 0.9,
    },
];

fn main() -> Result<ExitCode> {
    // `cargo test --benches` only wants to know that it runs.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let seconds = setting("BENCH_SECONDS", if is_trial { 1 } else { 2 })?;
    let rounds = setting("BENCH_ROUNDS", if is_trial { 1 } else { 7 })?;
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let settings = Settings {
        provider: Provider::Local,
        durable: true,
        ..Settings::from_env()
    };
    let server = runtime.block_on(Server::start(&settings))?;
    let database = runtime.block_on(server.create_database("bench"))?;
    pgbench(&database.url(), &["-i", "-q", "-s", "10"], "")?;

    let (_proxy, control) = proxy_on_its_own_thread(&runtime, Address::of(&database.options()))?;
    let by_socket = Address::of(&database.options());
    let (_forwarder, forwarder) = forwarder_on_its_own_thread(&runtime, &by_socket)?;
    let by_port = Address::of_url(&database.url())?;
    let through = database.url_through(control.address());
    let forwarded = database.url_through(forwarder);
    let mut all_reached = true;
    for workload in &WORKLOADS {
        let mut rounds_seen = Vec::new();
        for _ in 0..rounds {
            let direct = rate(&database.url(), workload, seconds)?;
            let proxied = rate(&through, workload, seconds)?;
            control.set_trace(Some(Recording::new()));
            let traced = rate(&through, workload, seconds)?;
            control.set_trace(None);
            control.set_upstream(by_port.clone());
            let proxied_by_port = rate(&through, workload, seconds)?;
            control.set_upstream(by_socket.clone());
            let copied = rate(&forwarded, workload, seconds)?;
            // Between two direct runs, so that a drift of the machine's speed cancels out.
            let direct = (direct + rate(&database.url(), workload, seconds)?) / 2.0;
            let ratios = [proxied, traced, proxied_by_port, copied].map(|rate| rate / direct);
            rounds_seen.push((direct, ratios));
        }
        let direct = median(rounds_seen.iter().map(|(direct, _)| *direct));
        let ratios = |kind: usize| rounds_seen.iter().map(move |(_, ratios)| ratios[kind]);
        let ratio = median(ratios(0));
        let is_reached = ratio >= workload.at_least;
        all_reached &= is_reached || is_trial;
        println!(
            "{:<23} direct {direct:>8.0}/s  proxied {ratio:.3} of it ({:.3} to {:.3}; at least \
             {:.1}: {})  with a trace {:.3}  by the server's port {:.3}  only copying {:.3}",
            workload.name,
            ratios(0).fold(f64::INFINITY, f64::min),
            ratios(0).fold(0.0, f64::max),
            workload.at_least,
            if is_reached { "reached" } else { "missed" },
            median(ratios(1)),
            median(ratios(2)),
            median(ratios(3)),
        );
    }
    Ok(if all_reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What lives on a thread of its own until this is dropped.
type Alive = tokio::sync::oneshot::Sender<()>;

fn proxy_on_its_own_thread(runtime: &Runtime, upstream: Address) -> Result<(Alive, Control)> {
    on_its_own_thread(runtime, async move {
        let proxy = Proxy::start(upstream).await?;
        let control = proxy.control().clone();
        Ok((proxy, control))
    })
}

/// Copies bytes between the target's side and the server's Unix socket, and nothing else.
fn forwarder_on_its_own_thread(runtime: &Runtime, server: &Address) -> Result<(Alive, SocketAddr)> {
    let Address::Unix(socket) = server.clone() else {
        return Err(format!("{server} is no Unix socket").into());
    };
    on_its_own_thread(runtime, async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let forward = async move |mut client: TcpStream, socket: PathBuf| {
            client.set_nodelay(true)?;
            let mut server = UnixStream::connect(socket).await?;
            copy_bidirectional(&mut client, &mut server).await
        };
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                // pgbench says itself what it missed.
                tokio::spawn(forward(client, socket.clone()));
            }
        });
        Ok((listening, address))
    })
}

/// Runs `start` on a thread of its own, and gives what it says; what it made lives there.
fn on_its_own_thread<T: Send + 'static, U: Send + 'static>(
    runtime: &Runtime,
    start: impl Future<Output = std::io::Result<(T, U)>> + Send + 'static,
) -> Result<(Alive, U)> {
    let (alive, ended) = tokio::sync::oneshot::channel::<()>();
    let (started, has_started) = tokio::sync::oneshot::channel();
    let own = Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        own.block_on(async {
            let (_made, said) = match start.await {
                Ok((made, said)) => (Some(made), Ok(said)),
                Err(error) => (None, Err(error)),
            };
            if started.send(said).is_ok() {
                // An error is the sender's end, which is what is waited for.
                let _ = ended.await;
            }
        });
    });
    Ok((alive, runtime.block_on(has_started)??))
}

fn rate(url: &str, workload: &Workload, seconds: u32) -> Result<f64> {
    let seconds = seconds.to_string();
    let arguments = [workload.arguments, &["-n", "-T", &seconds]].concat();
    let said = pgbench(url, &arguments, workload.options)?;
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(rate.ok_or("pgbench said no rate")?.parse()?)
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

fn pgbench(url: &str, arguments: &[&str], options: &str) -> Result<String> {
    let program = std::env::var("PG_BIN").map_or("pgbench".into(), |bin| bin + "/pgbench");
    let output = Command::new(program)
        .args(arguments)
        .arg(url)
        .env("PGOPTIONS", options)
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}
