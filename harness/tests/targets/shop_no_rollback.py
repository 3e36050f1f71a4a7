"""A shop that returns early where it refuses, past the end of its transaction.

The item stays locked by a session that nobody uses, for as long as the shop runs.
"""

import shop_http as shop


async def purchase(connection, order, key):
    await connection.execute("begin")
    item = await connection.execute(
        "select price, stock from item where id = %s for update", [order.item_id])
    item = await item.fetchone()
    if item is None:
        return shop.UNKNOWN_ITEM
    price, stock = item
    if stock == 0:
        return shop.OUT_OF_STOCK

    wallet = await connection.execute(
        "select balance from wallet where user_id = %s for update", [order.user_id])
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
        """insert into purchase (user_id, item_id, price, balance_left)
           values (%s, %s, %s, %s) returning id""",
        [*order, price, balance_left])
    purchase_id = (await row.fetchone())[0]
    await connection.execute("commit")
    return shop.Receipt(purchase_id, *order, price, balance_left)


if __name__ == "__main__":
    shop.main(purchase)
