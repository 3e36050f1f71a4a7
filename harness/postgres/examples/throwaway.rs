//! A throwaway PostgreSQL: made, asked, crashed, asked again, and gone at the end.
//!
//! ```text
//! cargo run -p rowlock-postgres --example throwaway
//! cargo test -p rowlock-postgres --example throwaway
//! ```
//!
//! It is a container where a Docker engine answers, else a cluster of an installed PostgreSQL.
//! PG_BIN, ROWLOCK_PG_IMAGE and DATABASE_URL are heeded; see `Settings`.

use std::error::Error;

use rowlock_postgres::{Server, Settings, StopMode};
use sqlx::{Connection, Executor, PgConnection};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let server = Server::start(&Settings::from_env()).await?;
    println!("{}", server.description());

    let database = server.create_database("shop").await?;
    println!("psql {}", database.url());
    let mut connection = PgConnection::connect(&database.url()).await?;
    connection
        .execute(
            "create table item (id int primary key, stock int); insert into item values (1, 7)",
        )
        .await?;

    // As a power cut: what was committed is there again, and this connection is not.
    server.restart(StopMode::Kill).await?;
    let mut connection = PgConnection::connect(&database.url()).await?;
    let stock: i32 = sqlx::query_scalar("select stock from item where id = 1")
        .fetch_one(&mut connection)
        .await?;
    println!("{stock} left after a crash");
    Ok(())
}

/// In a test: one server for the process, an empty database for each test, nothing to clean up.
#[cfg(test)]
mod tests {
    use sqlx::{Connection, PgConnection};

    #[tokio::test]
    async fn an_empty_database_counts() {
        let database = rowlock_postgres::fresh_database("example").await;
        let mut connection = PgConnection::connect(&database.url()).await.unwrap();
        let two: i32 = sqlx::query_scalar("select 1 + 1")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        assert_eq!(two, 2);
    }
}
