"""A right shop that refuses in words of its own, such as `400 {"error": "out_of_stock"}`.

No answer has the code by which the harness would know the reason. It must find nothing wrong
with it, and say what it could not check.
"""

import shop_http as shop
import shop_right


def problem(refusal):
    return shop.Answer(refusal.status, {"error": refusal.code})


if __name__ == "__main__":
    shop.problem = problem
    shop.main(shop_right.purchase)
