"""A wrong shop: it locks both rows, but decides by what it read before the lock.

A reviewer sees FOR UPDATE and is content; a buyer who waited for the lock still takes
the stock of before it. The harness must catch it.
"""

import shop_http as shop


async def purchase(connection, order, _key):
    async with connection.transaction():
        rows = await connection.execute(
            """select price, stock, (select balance from wallet where user_id = %s)
                 from item where id = %s""", [order.user_id, order.item_id])
        item = await rows.fetchone()
        if item is None:
            return shop.UNKNOWN_ITEM
        price, stock, balance = item
        if balance is None:
            return shop.UNKNOWN_USER

        await connection.execute(
            "select 1 from item where id = %s for update", [order.item_id])
        if stock == 0:
            return shop.OUT_OF_STOCK
        await connection.execute(
            "select 1 from wallet where user_id = %s for update", [order.user_id])
        balance_left = balance - price
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
    return shop.Receipt(purchase_id, *order, price, balance_left)


if __name__ == "__main__":
    shop.main(purchase)
