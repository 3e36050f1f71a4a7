"""A shop that returns early, past the end of its transaction, where the balance does not suffice.

Everything else is right, so that the harness's first purchases show nothing of it.
"""

import shop_http as shop
import shop_no_rollback


async def purchase(connection, order, key):
    outcome = await shop_no_rollback.purchase(connection, order, key)
    if outcome in (shop.UNKNOWN_ITEM, shop.OUT_OF_STOCK, shop.UNKNOWN_USER):
        await connection.execute("rollback")
    return outcome


if __name__ == "__main__":
    shop.main(purchase)
