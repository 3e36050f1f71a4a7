"""A right shop that takes its time to say that something went wrong; others are served meanwhile."""

import asyncio

import psycopg

import shop_http as shop
import shop_right

# Longer than a case waits for its own requests before it asks whether anybody is served.
SECONDS = 3.5


async def purchase(connection, order, key):
    try:
        return await shop_right.purchase(connection, order, key)
    except psycopg.Error:
        await asyncio.sleep(SECONDS)
        raise


if __name__ == "__main__":
    shop.main(purchase)
