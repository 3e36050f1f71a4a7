"""A right shop that keeps books of its own beside the shop's tables.

BOOKS=audit writes down each purchase under an id of the book's own; BOOKS=references refers
to the purchase besides, and so does BOOKS=late, whose book is made only when something has
been sold. BOOKS=mirror has triggers write each item's stock down. BOOKS=keys remembers
answers by Idempotency-Key, and where a key is known neither buys nor looks at the shop. All
books but the late one are made at the first request.
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
    "mirror": """
        create table if not exists shelf (item_id bigint primary key, stock bigint not null);
        create or replace function shelve() returns trigger language plpgsql as $$ begin
            if tg_op = 'DELETE' then
                delete from shelf where item_id = old.id;
            elsif tg_op = 'INSERT' then
                insert into shelf values (new.id, new.stock);
            else
                update shelf set stock = new.stock where item_id = new.id;
            end if;
            return null;
        end $$;
        create or replace trigger shelve after insert or update or delete on item
            for each row execute function shelve()""",
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
        if BOOKS == "mirror":
            row = await connection.execute(
                "select shelf.stock = item.stock from item left join shelf on item_id = id"
                " where id = %s", [order.item_id])
            if (await row.fetchone())[0] is not True:
                raise RuntimeError("the shelf is not as the item says")
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
