"""Coupons with a limit, on asyncpg. It makes its own schema when it starts.

VARIANT=right    locks the coupon's row
VARIANT=wrong    counts the redemptions and locks nothing
VARIANT=hasty    does not wait for the row: answers STATUS, a body that says to try again
VARIANT=stale    locks, and says how many are left as it was before
VARIANT=memory   counts in this process
VARIANT=keeps    as memory, and locks the coupon's row

BACKGROUND=1 has it look at its coupons all the time, for nobody; BACKGROUND=connections on a connection of its own each time, in a transaction.
"""

import asyncio
import json
import os
import signal

import asyncpg

VARIANT = os.environ.get("VARIANT", "right")
STATUS = int(os.environ.get("STATUS", "409"))

SCHEMA = """
create table if not exists coupon (code text primary key, redeemable integer not null);
create table if not exists redemption (
    id         uuid primary key default gen_random_uuid(),
    code       text not null references coupon,
    customer   text not null,
    created_at timestamptz not null default now()
);
insert into coupon values ('SPRING', 1), ('SUMMER', 100) on conflict do nothing;
"""

LOCKS = {"right": "for update", "keeps": "for update", "stale": "for update", "hasty": "for update nowait"}
remembered = {}


async def count(connection, code):
    if VARIANT in ("memory", "keeps"):
        return remembered.get(code, 0)
    return await connection.fetchval("select count(*) from redemption where code = $1", code)


async def redeem(connection, code, customer):
    lock = LOCKS.get(VARIANT, "")
    before = await count(connection, code) if VARIANT == "stale" else None
    async with connection.transaction():
        redeemable = await connection.fetchval(
            f"select redeemable from coupon where code = $1 {lock}", code)
        if redeemable is None:
            return 404, {"error": "no_such_coupon"}
        redeemed = await count(connection, code)
        if redeemed >= redeemable:
            return 410, {"error": "exhausted"}
        redemption = await connection.fetchrow(
            "insert into redemption (code, customer) values ($1, $2) returning id, created_at",
            code, customer)
        remembered[code] = remembered.get(code, 0) + 1
    left = redeemable - 1 - (redeemed if before is None else before)
    return 200, {"id": str(redemption["id"]), "left": left}


async def answer(pool, method, path, body):
    if (method, path) != ("POST", "/redeem"):
        return 404, {"error": "not_found"}
    try:
        async with pool.acquire() as connection:
            return await redeem(connection, body["code"], body["customer"])
    except asyncpg.LockNotAvailableError:
        return STATUS, {"error": "try again"}


async def serve(pool, reader, writer):
    while line := await reader.readline():
        method, path, _ = line.decode().split()
        length = 0
        while (header := (await reader.readline()).decode().strip().lower()):
            if header.startswith("content-length:"):
                length = int(header.partition(":")[2])
        body = json.loads(await reader.readexactly(length) or b"null")
        status, said = await answer(pool, method, path, body)
        said = json.dumps(said).encode()
        writer.write(b"HTTP/1.1 %d -\r\ncontent-type: application/json\r\n"
                     b"content-length: %d\r\n\r\n%b" % (status, len(said), said))
        await writer.drain()
    writer.close()


async def look(url):
    async def connect():
        return await asyncpg.connect(url, server_settings={"application_name": "looker"})

    connection = await connect()
    while True:
        if os.environ["BACKGROUND"] == "connections":
            await connection.close()
            connection = await connect()
            await connection.execute("begin")
            await connection.execute("select count(*) from coupon as looked_at")
            await connection.execute("commit")
        else:
            await connection.execute("select count(*) from coupon as looked_at")
        await asyncio.sleep(0.002)


async def main():
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=4) as pool:
        await pool.execute(SCHEMA)
        server = await asyncio.start_server(
            lambda reader, writer: serve(pool, reader, writer), "127.0.0.1", int(os.environ["PORT"]))
        if os.environ.get("BACKGROUND"):
            looking = asyncio.create_task(look(os.environ["DATABASE_URL"]))
        stopped = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
        await stopped.wait()
        server.close()
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main())
