"""A right shop on asyncpg's own pool, which tidies each session up when it comes back.

The tidying is a step of the request like any other, after the COMMIT: what fails there finds
the purchase made. A conflict that PostgreSQL reports is given to the buyer as a 409, which is
right wherever PostgreSQL can report one. Needs asyncpg beside what shop_http needs.
"""

import os

import asyncpg

import shop_http as shop

CONFLICTS = (asyncpg.SerializationError, asyncpg.DeadlockDetectedError,
             asyncpg.LockNotAvailableError)


class Pooled(shop.Shop):
    """A worker whose connections are a pool of asyncpg's."""

    pool = None

    async def with_connection(self, use):
        try:
            if self.pool is None:
                size = int(os.environ.get("POOL_SIZE", "10"))
                self.pool = asyncpg.create_pool(
                    os.environ["DATABASE_URL"], min_size=size, max_size=size)
            # Whoever comes while it opens waits for it, too.
            await self.pool
            async with self.pool.acquire() as connection:
                return await use(connection)
        except CONFLICTS:
            return shop.CONFLICT


async def purchase(connection, order, key):
    try:
        return await purchase_once(connection, order, key)
    except asyncpg.UniqueViolationError:
        # The same key bought another item meanwhile; it is committed now, and is found.
        return await purchase_once(connection, order, key)


async def purchase_once(connection, order, key):
    async with connection.transaction():
        item = await connection.fetchrow(
            "select price, stock from item where id = $1 for update", order.item_id)
        if item is None:
            return shop.UNKNOWN_ITEM
        price, stock = item

        # Under the item's lock: a twin of this request has committed, or waits for us.
        if key is not None and (earlier := await find(connection, key)) is not None:
            same = (earlier.user_id, earlier.item_id) == order
            return earlier if same else shop.KEY_REUSED
        if stock == 0:
            return shop.OUT_OF_STOCK

        balance = await connection.fetchval(
            "select balance from wallet where user_id = $1 for update", order.user_id)
        if balance is None:
            return shop.UNKNOWN_USER
        balance_left = balance - price
        if balance_left < 0:
            return shop.INSUFFICIENT_BALANCE

        await connection.execute(
            "update wallet set balance = $1 where user_id = $2", balance_left, order.user_id)
        await connection.execute(
            "update item set stock = $1 where id = $2", stock - 1, order.item_id)
        purchase_id = await connection.fetchval(
            """insert into purchase (user_id, item_id, price, balance_left, idempotency_key)
               values ($1, $2, $3, $4, $5) returning id""",
            *order, price, balance_left, key)
    return shop.Receipt(purchase_id, *order, price, balance_left)


async def find(connection, key):
    row = await connection.fetchrow(
        """select id, user_id, item_id, price, balance_left
             from purchase where idempotency_key = $1""", key)
    return None if row is None else shop.Receipt(*row)


if __name__ == "__main__":
    shop.main(purchase, Pooled)
