"""A right shop that keeps books of its own beside the shop's tables.

BOOKS=audit writes down each purchase under an id of the book's own; BOOKS=references refers
to the purchase besides, and so does BOOKS=late, whose book is made only when something has
been sold; BOOKS=keys remembers answers by Idempotency-Key, and where a key is
known neither buys nor looks at the shop. The other books are made at the first request.
"""

import json
import os

import shop_http as shop
import shop_right

BOOKS = os.environ["BOOKS"]

REFERENCES = """create table if not exists audit (
    id bigint generated always as identity primary key, note text not null,
    purchase_id bigint not null unique references purchase (id))"""
TABLES = {
    "audit": "create table if not exists audit (id bigserial primary key, note text not null)",
    "references": REFERENCES,
    "late": "select",
    "keys": "create table if not exists answer (key text primary key, receipt json not null)",
}

made = sold = False


async def purchase(connection, order, key):
    global made, sold
    if not made:
        await connection.execute(TABLES[BOOKS])
        made = True
    async with connection.transaction():
        if BOOKS == "keys" and key is not None:
            # Whoever comes second waits here for the first.
            await connection.execute("select pg_advisory_xact_lock(hashtext(%s))", [key])
            row = await connection.execute("select receipt from answer where key = %s", [key])
            if (row := await row.fetchone()) is not None:
                return shop.Receipt(**row[0])
        outcome = await shop_right.purchase_once(connection, order, None)
        if isinstance(outcome, shop.Refusal):
            return outcome
        if BOOKS == "keys" and key is not None:
            await connection.execute(
                "insert into answer values (%s, %s)", [key, json.dumps(outcome._asdict())])
        if BOOKS == "audit":
            await connection.execute("insert into audit (note) values ('sold')")
        if BOOKS == "late" and not sold:
            await connection.execute(REFERENCES)
            sold = True
        if BOOKS in ("references", "late"):
            await connection.execute(
                "insert into audit (note, purchase_id) values ('sold', %s)",
                [outcome.purchase_id])
        return outcome


if __name__ == "__main__":
    shop.main(purchase)
