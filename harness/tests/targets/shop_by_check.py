"""A right shop that judges nothing itself: the tables' checks refuse what would go below zero.

It locks item and wallet by updating them, and takes a check that fails for the answer.
"""

from psycopg.errors import CheckViolation

import shop_http as shop


async def purchase(connection, order, key):
    try:
        return await purchase_once(connection, order, key)
    except CheckViolation as violation:
        if "stock" in (violation.diag.constraint_name or "stock"):
            return shop.OUT_OF_STOCK
        return shop.INSUFFICIENT_BALANCE


async def purchase_once(connection, order, key):
    async with connection.transaction():
        item = await connection.execute(
            "update item set stock = stock - 1 where id = %s returning price", [order.item_id])
        item = await item.fetchone()
        if item is None:
            return shop.UNKNOWN_ITEM
        wallet = await connection.execute(
            "update wallet set balance = balance - %s where user_id = %s returning balance",
            [item[0], order.user_id])
        wallet = await wallet.fetchone()
        if wallet is None:
            raise NoWallet
        row = await connection.execute(
            "insert into purchase (user_id, item_id, price) values (%s, %s, %s) returning id",
            [*order, item[0]])
        purchase_id = (await row.fetchone())[0]
    return shop.Receipt(purchase_id, *order, item[0], wallet[0])


class NoWallet(Exception):
    """Undoes what was done to the item."""


async def guarded(connection, order, key):
    try:
        return await purchase(connection, order, key)
    except NoWallet:
        return shop.UNKNOWN_USER


if __name__ == "__main__":
    shop.main(guarded)
