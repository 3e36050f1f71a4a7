"""A right shop that finds out by a request that a connection is gone; that request is a 500.

With WORKERS=N, one worker may have found out what another has not.
"""

import shop_http as shop
import shop_right


def hung_up(connection):
    return connection.closed


if __name__ == "__main__":
    shop.hung_up = hung_up
    shop.main(shop_right.purchase)
