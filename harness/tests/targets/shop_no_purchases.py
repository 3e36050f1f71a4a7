"""A right shop that keeps stock and balances only: no purchase rows, none in its receipts.

The checks that need purchase rows do not apply to it; the others must hold.
"""

import shop_http as shop


async def purchase(connection, order, _key):
    async with connection.transaction():
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
    return shop.Receipt(None, *order, price, balance_left)


if __name__ == "__main__":
    shop.main(purchase)
