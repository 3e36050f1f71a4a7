//! What the proxy costs when nobody drives it, as a share of the direct connection's rate.
//!
//! The one idea: direct and proxied pgbench runs alternate on one server, so that whatever else
//! the machine does falls on both, and only their ratio is judged. The proxy has a thread of its
//! own here, as it would have beside a target; both its sides are TCP, like the direct connection.
//! Not by criterion: what is measured is a rate under load, not the time of a call.
//!
//! `SECONDS` and `ROUNDS` in the environment set the length of each run and their number.

use std::error::Error;
use std::process::{Command, ExitCode};

use rowlock::postgres::{Provider, Server, Settings};
use rowlock::proxy::{Address, Control, Proxy, Recording};
use tokio::runtime::{Builder, Runtime};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

struct Workload {
    name: &'static str,
    arguments: &'static [&'static str],
    at_least: f64,
}

const WORKLOADS: [Workload; 2] = [
    Workload {
        name: "select only",
        arguments: &["-S", "-M", "prepared", "-c", "8"],
        at_least: 0.8,
    },
    Workload {
        name: "tpcb-like",
        arguments: &["-M", "prepared", "-c", "8"],
        at_least: 0.9,
    },
];

fn main() -> Result<ExitCode> {
    // `cargo test --benches` only wants to know that it runs.
    let is_trial = !std::env::args().any(|argument| argument == "--bench");
    let seconds = setting("SECONDS", if is_trial { 1 } else { 5 })?;
    let rounds = setting("ROUNDS", if is_trial { 1 } else { 4 })?;
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
    pgbench(&database.url(), &["-i", "-q", "-s", "10"])?;

    let (_proxy, control) = proxy_on_its_own_thread(&runtime, &database.url())?;
    let through = database.url_through(control.address());
    let mut all_reached = true;
    for workload in &WORKLOADS {
        let mut rates = [0.0; 3];
        for _ in 0..rounds {
            rates[0] += rate(&database.url(), workload, seconds)?;
            rates[1] += rate(&through, workload, seconds)?;
            control.set_trace(Some(Recording::new()));
            rates[2] += rate(&through, workload, seconds)?;
            control.set_trace(None);
        }
        let [direct, proxied, traced] = rates.map(|sum| sum / f64::from(rounds));
        let ratio = proxied / direct;
        let is_reached = ratio >= workload.at_least;
        all_reached &= is_reached || is_trial;
        println!(
            "{:<12} direct {direct:>8.0}/s  proxied {proxied:>8.0}/s  ratio {ratio:.3} \
             (at least {:.1}: {})  traced {:.3}",
            workload.name,
            workload.at_least,
            if is_reached { "reached" } else { "missed" },
            traced / direct,
        );
    }
    Ok(if all_reached {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The proxy lives as long as the sender that is returned.
fn proxy_on_its_own_thread(
    runtime: &Runtime,
    server_url: &str,
) -> Result<(tokio::sync::oneshot::Sender<()>, Control)> {
    let upstream = Address::of_url(server_url)?;
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (started, start) = tokio::sync::oneshot::channel();
    let own = Builder::new_current_thread().enable_all().build()?;
    std::thread::spawn(move || {
        own.block_on(async {
            let proxy = Proxy::start(upstream).await;
            let control = proxy.as_ref().map(|proxy| proxy.control().clone());
            let control = control.map_err(|error| error.to_string());
            if started.send(control).is_ok() {
                // An error is the sender's end, which is what is waited for.
                let _ = stopped.await;
            }
        });
    });
    Ok((stop, runtime.block_on(start)??))
}

fn rate(url: &str, workload: &Workload, seconds: u32) -> Result<f64> {
    let seconds = seconds.to_string();
    let arguments = [workload.arguments, &["-n", "-T", &seconds]].concat();
    let said = pgbench(url, &arguments)?;
    let rate = said
        .lines()
        .find_map(|line| line.strip_prefix("tps = ")?.split(' ').next());
    Ok(rate.ok_or("pgbench said no rate")?.parse()?)
}

fn pgbench(url: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new("pgbench").args(arguments).arg(url).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

fn setting(name: &str, default: u32) -> Result<u32> {
    std::env::var(name).map_or(Ok(default), |value| Ok(value.parse()?))
}
