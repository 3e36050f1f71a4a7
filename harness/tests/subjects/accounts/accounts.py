"""Transfers between accounts on asyncpg: right, or wrong in the way that the first argument names.

right   both rows locked, the key looked up, one transaction, answered after the COMMIT
early   the same, answered before the COMMIT
two     the debit and the credit in a transaction each
keeps   as two; where the credit fails, it refuses and keeps the debit
"""

import asyncio
import contextlib
import json
import os
import signal
import sys

import asyncpg

LOCK = "select id, balance from account where id = any($1::bigint[]) order by id for update"
FIND = "select id from transfer where key = $1"
DEBIT = "update account set balance = balance - $2 where id = $1"
CREDIT = "update account set balance = balance + $2 where id = $1"
NOTE = "insert into transfer (sender, receiver, amount, key) values ($1, $2, $3, $4)"


class Pool:
    """At most so many connections, each cleaned after its use as asyncpg's own pool does it.

    That one, as of 0.27, sometimes loses a place for good when an idle connection is terminated.
    """

    def __init__(self, size):
        self.turns = asyncio.Semaphore(size)
        self.idle = []

    @contextlib.asynccontextmanager
    async def acquire(self):
        async with self.turns:
            connection = self.idle.pop() if self.idle else None
            if connection is None or connection.is_closed():
                connection = await asyncpg.connect(os.environ["DATABASE_URL"])
            try:
                yield connection
                await connection.reset()
                self.idle.append(connection)
            except BaseException:
                connection.terminate()
                raise


async def transfer(connection, order, key):
    """Within a transaction; the status that is to be answered."""
    sender, receiver, amount = order
    balances = dict(await connection.fetch(LOCK, [sender, receiver]))
    if await connection.fetchval(FIND, key) is not None:
        return 200
    if balances[sender] < amount:
        return 400
    await connection.execute(DEBIT, sender, amount)
    await connection.execute(CREDIT, receiver, amount)
    await connection.execute(NOTE, sender, receiver, amount, key)
    return 200


async def right(pool, order, key, answer):
    async with pool.acquire() as connection:
        async with connection.transaction():
            status = await transfer(connection, order, key)
    await answer(status)


async def early(pool, order, key, answer):
    async with pool.acquire() as connection:
        async with connection.transaction():
            await answer(await transfer(connection, order, key))


async def two(pool, order, key, answer):
    sender, receiver, amount = order
    async with pool.acquire() as connection:
        await connection.execute(DEBIT, sender, amount)
        async with connection.transaction():
            await connection.execute(CREDIT, receiver, amount)
            await connection.execute(NOTE, sender, receiver, amount, key)
    await answer(200)


async def keeps(pool, order, key, answer):
    sender, receiver, amount = order
    async with pool.acquire() as connection:
        await connection.execute(DEBIT, sender, amount)
        try:
            async with connection.transaction():
                await connection.execute(CREDIT, receiver, amount)
                await connection.execute(NOTE, sender, receiver, amount, key)
            status = 200
        except Exception:
            status = 400
    await answer(status)


async def serve(pool, send, reader, writer):
    async def answer(status):
        writer.write(b"HTTP/1.1 %d X\r\ncontent-length: 2\r\n\r\n{}" % status)
        await writer.drain()

    try:
        while line := await reader.readline():
            key, length = None, 0
            while (header := (await reader.readline()).decode().strip()):
                name, value = header.split(":", 1)
                if name.lower() == "idempotency-key":
                    key = value.strip()
                if name.lower() == "content-length":
                    length = int(value)
            body = await reader.readexactly(length)
            if not line.startswith(b"POST"):
                await answer(404)
                continue
            fields = json.loads(body)
            order = [int(fields[name]) for name in ("sender", "receiver", "amount")]
            try:
                await send(pool, order, key, answer)
            except Exception as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr)
                await answer(500)
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    variants = {"right": right, "early": early, "two": two, "keeps": keeps}
    send = variants[sys.argv[1]]
    pool = Pool(3)
    server = await asyncio.start_server(
        lambda reader, writer: serve(pool, send, reader, writer), "127.0.0.1", int(os.environ["PORT"]))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    server.close()


asyncio.run(main())
