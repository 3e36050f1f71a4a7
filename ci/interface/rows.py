"""Holds the shop's rows against the receipts that it gave: nothing else may have had an effect.

    python -m interface.rows before FILE    writes down stocks and balances
    python -m interface.rows after FILE     compares
"""

import json
import os
import sys

import psycopg


def main(moment, path):
    with psycopg.connect(os.environ["INTERFACE_DATABASE"]) as connection:
        if moment == "before":
            with open(path, "w", encoding="utf-8") as file:
                json.dump(amounts(connection), file)
            return
        with open(path, encoding="utf-8") as file:
            compare(json.load(file), connection)


def amounts(connection):
    query = """select 'item ' || id, stock, price from item
               union all select 'wallet ' || user_id, balance, 0 from wallet"""
    return {name: [amount, price] for name, amount, price in connection.execute(query)}


def compare(before, connection):
    receipts = read_receipts()
    columns = ["purchase_id", "user_id", "item_id", "price", "balance_left"]
    query = "select id, user_id, item_id, price, balance_left from purchase"
    rows = {row[0]: dict(zip(columns, row)) for row in connection.execute(query)}
    expect("the purchases", rows, receipts)

    expected = {name: list(values) for name, values in before.items()}
    for receipt in receipts.values():
        expected[f"item {receipt['item_id']}"][0] -= 1
        expected[f"wallet {receipt['user_id']}"][0] -= receipt["price"]
    expect("stocks and balances", amounts(connection), expected)
    query = """select count(*) from pg_stat_activity
                where datname = current_database() and pid <> pg_backend_pid()
                  and state not in ('idle', 'active')"""
    expect("transactions left open", connection.execute(query).fetchone()[0], 0)
    if not receipts:
        sys.exit("rows: nothing was bought, so nothing was proven")
    print(f"rows: {len(receipts)} purchases, each acknowledged, and nothing else has changed")


def read_receipts():
    try:
        with open(os.environ["INTERFACE_RECEIPTS"], encoding="utf-8") as file:
            receipts = [json.loads(line) for line in file]
    except FileNotFoundError:
        receipts = []
    return {receipt["purchase_id"]: receipt for receipt in receipts}


def expect(what, found, expected):
    if found != expected:
        sys.exit(f"rows: {what}: {found} for {expected}")


main(*sys.argv[1:])
