"""What is asked of the service beyond what Schemathesis asks by itself."""

import json
import os

import schemathesis

# The reasons for which the shop may refuse an order that is one.
REFUSALS = {"unknown_item", "unknown_user", "out_of_stock", "insufficient_balance"}


def is_purchase(response):
    return response.request.method == "POST" and "/api/purchase" in response.request.url


@schemathesis.hook
def after_call(context, case, response):
    """Keeps each receipt, for the rows to be held against."""
    if is_purchase(response) and response.status_code == 200:
        with open(os.environ["INTERFACE_RECEIPTS"], "a", encoding="utf-8") as receipts:
            receipts.write(json.dumps(response.json()) + "\n")


@schemathesis.check
def order_is_not_malformed(ctx, response, case):
    """An order that fits the document is refused for a reason of the shop, or not at all."""
    meta = case.meta
    if meta is None or not meta.generation.mode.is_positive or not is_purchase(response):
        return
    # JSON Schema takes 1.0 for an integer, and the document says in words that an id is not.
    if any(isinstance(number, float) for number in json.loads(response.request.body).values()):
        return
    if response.status_code == 400 and response.json()["code"] not in REFUSALS:
        raise AssertionError(f"an order that fits the document is refused: {response.text}")


@schemathesis.check
def problem_says_its_status(ctx, response, case):
    """The status in a problem's body is the answer's own."""
    if response.headers.get("content-type", [""])[0] != "application/problem+json":
        return
    if response.content and response.json()["status"] != response.status_code:
        raise AssertionError(f"{response.status_code}: {response.text}")
