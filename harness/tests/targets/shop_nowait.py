"""A right shop that waits for nobody: an item or a wallet that another buyer has locked is refused.

The refusal is STATUS (default 423, Locked), and has no code that the harness knows. Nothing has
happened then, and the harness must find nothing wrong with it.
"""

import os

import shop_http as shop
from shop_right import find


async def purchase(connection, order, key):
    async with connection.transaction():
        item = await connection.execute(
            "select price, stock from item where id = %s for update nowait", [order.item_id])
        item = await item.fetchone()
        if item is None:
            return shop.UNKNOWN_ITEM
        price, stock = item
        if key is not None and (earlier := await find(connection, key)) is not None:
            same = (earlier.user_id, earlier.item_id) == order
            return earlier if same else shop.KEY_REUSED
        if stock == 0:
            return shop.OUT_OF_STOCK
        wallet = await connection.execute(
            "select balance from wallet where user_id = %s for update nowait", [order.user_id])
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


if __name__ == "__main__":
    shop.CONFLICT = shop.Refusal("locked", int(os.environ.get("STATUS", "423")))
    shop.main(purchase)
