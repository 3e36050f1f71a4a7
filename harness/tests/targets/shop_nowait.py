"""A right shop that waits for nobody: an item or a wallet that another buyer has locked is refused.

The refusal is STATUS (default 423, Locked), and has no code that the harness knows. Nothing has
happened then, and the harness must find nothing wrong with it.
"""

import os

import shop_http as shop
from shop_right import purchase_once


async def purchase(connection, order, key):
    return await purchase_once(connection, order, key, lock="for update nowait")


if __name__ == "__main__":
    shop.CONFLICT = shop.Refusal("locked", int(os.environ.get("STATUS", "423")))
    shop.main(purchase)
