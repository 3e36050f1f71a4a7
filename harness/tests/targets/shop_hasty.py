"""A wrong shop that takes a locked item for one that is sold out, and says so without a code.

It must be caught although nobody can tell which reason its refusals mean.
"""

from psycopg.errors import LockNotAvailable

import shop_http as shop
import shop_right
import shop_unstated


async def purchase(connection, order, key):
    try:
        async with connection.transaction():
            await connection.execute(
                "select from item where id = %s for update nowait", [order.item_id])
            return await shop_right.purchase_once(connection, order, key)
    except LockNotAvailable:
        return shop.OUT_OF_STOCK


if __name__ == "__main__":
    shop.problem = shop_unstated.problem
    shop.main(purchase)
