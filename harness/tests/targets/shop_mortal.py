"""A right shop whose process ends when its connection breaks in the middle of a purchase."""

import os

from psycopg import OperationalError

import shop_http as shop
import shop_right


async def purchase(connection, order, key):
    try:
        return await shop_right.purchase(connection, order, key)
    except OperationalError:
        os._exit(1)


if __name__ == "__main__":
    shop.main(purchase)
