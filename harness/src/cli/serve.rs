//! `rowlock serve`: a shop to play with by hand.

use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use purchase_service::{Config, Service};
use rowlock_postgres::Server;
use rowlock_shop::rows::Shop;

use super::stop::stop_signal;
use super::{PostgresArgs, output};
use crate::database::Inspector;

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    postgres: PostgresArgs,
    /// The port to listen on; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    port: u16,
}

pub(super) async fn serve(args: ServeArgs) -> anyhow::Result<ExitCode> {
    let stop = stop_signal()?;
    let start = start(&args);
    tokio::pin!(stop);
    let started = tokio::select! {
        biased;
        () = &mut stop => return Ok(ExitCode::SUCCESS),
        started = start => started?,
    };
    let (server, service) = started;
    service.serve(stop).await;
    output::complain("stopping; the database goes with it");
    server.stop().await?;
    Ok(ExitCode::SUCCESS)
}

async fn start(args: &ServeArgs) -> anyhow::Result<(Server, Service)> {
    let server = Server::start(&args.postgres.settings()).await?;
    let database = server.create_database("shop").await?;
    let inspector = Inspector::open_shop(database.options()).await?;
    inspector.seed(&shop()).await?;
    inspector.close().await;

    let port = args.port.to_string();
    let settings = |name: &str| match name {
        "DATABASE_URL" => Some(database.url()),
        "PORT" => Some(port.clone()),
        name => std::env::var(name).ok(),
    };
    let config = Config::from_lookup(settings)?;
    let service = Service::start(&config)
        .await
        .context("the service does not start")?;
    let address = service.address();
    output::write(&format!(
        "postgres: {}\ndatabase: {}\nservice:  http://{address}\npage:     http://{address}/?user=1\n{}\n",
        server.description(),
        database.url(),
        hints(&address.to_string())
    ))?;
    Ok((server, service))
}

fn shop() -> Shop {
    let shop = Shop::default()
        .item(1, 1_000, 1)
        .item(2, 250, 1_000)
        .item(3, 0, 10);
    (1..=10).fold(shop, |shop, user_id| shop.wallet(user_id, 2_000))
}

fn hints(address: &str) -> String {
    format!(
        "\nitem 1 is the last of its kind at 10.00, item 2 costs 2.50, item 3 is free;\n\
         users 1 to 10 have 20.00 each. Ctrl-C ends it all.\n\n\
         curl -s http://{address}/api/items\n\
         curl -s http://{address}/api/wallets/1\n\
         curl -s -X POST http://{address}/api/purchase/ -H 'content-type: application/json' \\\n\
         \x20    -H 'idempotency-key: my-first' -d '{{\"user_id\": 1, \"item_id\": 1}}'"
    )
}
