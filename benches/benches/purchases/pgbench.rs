//! What pgbench reaches on the same server: the rate of which ours is a part.
//!
//! A transaction is a purchase as the service makes it, of one item or spread over many, either
//! in one call of a stored procedure or in its statements one by one. There is no HTTP, and
//! nobody is told anything.

use std::io::Write;
use std::process::Command;

use rowlock_postgres::Database;

use crate::Result;

/// What a purchase consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Purchase {
    /// One call of a function that locks, checks, and writes.
    Procedure,
    /// BEGIN, two locks, three writes, COMMIT.
    Statements,
}

const PROCEDURE: &str = "
create or replace function sell(buyer bigint, wanted bigint) returns bigint
language plpgsql as $$
declare
    shelf item;
    purse wallet;
    bought bigint;
begin
    select * into shelf from item where id = wanted for update;
    if shelf.stock <= 0 then return null; end if;
    select * into purse from wallet where user_id = buyer for update;
    if purse.balance < shelf.price then return null; end if;
    update wallet set balance = balance - shelf.price where user_id = buyer
        returning balance into purse.balance;
    update item set stock = stock - 1 where id = wanted;
    insert into purchase (user_id, item_id, price, balance_left)
        values (buyer, wanted, shelf.price, purse.balance) returning id into bought;
    return bought;
end $$";

/// The most purchases a second at any of these numbers of clients, and that number; nothing where
/// pgbench is not installed. Wallets and items from 1 to `wallets` and `items` must be there.
pub(crate) fn best(
    database: &Database,
    purchase: Purchase,
    wallets: u32,
    items: u32,
    seconds: u32,
) -> Result<Option<(f64, u32)>> {
    if Command::new("pgbench").arg("--version").output().is_err() {
        return Ok(None);
    }
    let mut script = tempfile::NamedTempFile::new()?;
    let choose = format!("\\set u random(1, {wallets})\n\\set i random(1, {items})\n");
    let sell = match purchase {
        Purchase::Procedure => "select sell(:u, :i);\n",
        Purchase::Statements => {
            "begin;
select price, stock from item where id = :i for update;
select balance from wallet where user_id = :u for update;
update wallet set balance = balance - 1 where user_id = :u returning balance;
update item set stock = stock - 1 where id = :i returning stock;
insert into purchase (user_id, item_id, price, balance_left)
    values (:u, :i, 1, 1) returning id;
commit;
"
        }
    };
    script.write_all((choose + sell).as_bytes())?;
    let mut best = None;
    for clients in [1, 2, 4, 8, 16, 32, 64] {
        let rate = run(database, script.path(), clients, seconds)?;
        if best.is_none_or(|(most, _)| rate > most) {
            best = Some((rate, clients));
        }
    }
    Ok(best)
}

/// Makes what [`Purchase::Procedure`] calls.
pub(crate) async fn make_procedure(pool: &sqlx::PgPool) -> Result<()> {
    sqlx::raw_sql(PROCEDURE).execute(pool).await?;
    Ok(())
}

fn run(database: &Database, script: &std::path::Path, clients: u32, seconds: u32) -> Result<f64> {
    let output = Command::new("pgbench")
        .args([
            "-n",
            "-M",
            "prepared",
            "-j",
            "2",
            "-c",
            &clients.to_string(),
        ])
        .args(["-T", &seconds.to_string(), "-f"])
        .arg(script)
        .arg(database.url())
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let rate = text.lines().find_map(|line| line.strip_prefix("tps = "));
    let rate = rate.and_then(|rate| rate.split(' ').next()?.parse().ok());
    rate.ok_or_else(|| format!("pgbench: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
}
