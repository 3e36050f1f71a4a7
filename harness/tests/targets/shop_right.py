"""A right shop: item, then wallet, each locked before it is read, in one transaction.

An Idempotency-Key makes a retry safe. The harness must find nothing wrong with it.
"""

from psycopg.errors import UniqueViolation

import shop_http as shop


async def purchase(connection, order, key):
    try:
        return await purchase_once(connection, order, key)
    except UniqueViolation:
        # The same key bought another item meanwhile; it is committed now, and is found.
        return await purchase_once(connection, order, key)


async def purchase_once(connection, order, key, lock="for update"):
    async with connection.transaction():
        item = await connection.execute(
            f"select price, stock from item where id = %s {lock}", [order.item_id])
        item = await item.fetchone()
        if item is None:
            return shop.UNKNOWN_ITEM
        price, stock = item

        # Under the item's lock: a twin of this request has committed, or waits for us.
        if key is not None and (earlier := await find(connection, key)) is not None:
            same = (earlier.user_id, earlier.item_id) == order
            return earlier if same else shop.KEY_REUSED
        if stock == 0:
            return shop.OUT_OF_STOCK

        wallet = await connection.execute(
            f"select balance from wallet where user_id = %s {lock}", [order.user_id])
        wallet = await wallet.fetchone()
        if wallet is None:
            return shop.UNKNOWN_USER
        balance_left = wallet[0] - price
        if balance_left < 0:
            return shop.INSUFFICIENT_BALANCE

        await connection.execute(
            "update wallet set balance = %s where user_id = %s", [balance_left, order.user_id])
        await connection.execute(
            "update item set stock = %s where id = %s", [stock - 1, order.item_id])
        row = await connection.execute(
            """insert into purchase (user_id, item_id, price, balance_left, idempotency_key)
               values (%s, %s, %s, %s, %s) returning id""",
            [*order, price, balance_left, key])
        purchase_id = (await row.fetchone())[0]
    return shop.Receipt(purchase_id, *order, price, balance_left)


async def find(connection, key):
    row = await connection.execute(
        """select id, user_id, item_id, price, balance_left
             from purchase where idempotency_key = %s""", [key])
    row = await row.fetchone()
    return None if row is None else shop.Receipt(*row)


if __name__ == "__main__":
    shop.main(purchase)
