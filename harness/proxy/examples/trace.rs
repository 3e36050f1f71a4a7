//! Prints what any client and a PostgreSQL server say to each other, a line for each step.
//!
//! ```text
//! cargo run -p rowlock-proxy --example trace -- 6432 postgres://user@localhost:5432/db
//! psql postgres://user@localhost:6432/db
//! ```
//!
//! A third argument `json` writes JSON Lines instead. It ends with Ctrl-C.

use std::error::Error;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rowlock_proxy::{Address, Proxy, TraceForm, TraceWriter};

const USAGE: &str = "usage: trace PORT postgres://user@host:port/database [json]";

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (port, upstream, form) = match &arguments[..] {
        [port, upstream] => (port, upstream, TraceForm::Human),
        [port, upstream, form] if form == "json" => (port, upstream, TraceForm::Json),
        _ => {
            eprintln!("{USAGE}");
            std::process::exit(2);
        }
    };
    let upstream = Address::of_url(upstream)?;
    let listen = (Ipv4Addr::LOCALHOST, port.parse::<u16>()?).into();
    let proxy = Proxy::start_on(listen, upstream.clone()).await?;
    eprintln!("{} forwards to {upstream}", proxy.control().address());
    let trace = TraceWriter::new(form, std::io::stdout());
    proxy.control().set_trace(Some(Arc::new(trace)));
    tokio::signal::ctrl_c().await?;
    proxy.stop().await;
    Ok(())
}
