"""A right shop of forked workers, each with one connection of its own that it opens when asked.

The oldest way to serve: the workers share the listening socket, each answers one request at a
time, and whichever is free takes the next. A connection begins with a setting of the session,
and a worker finds out by a request that its connection is gone; that request is a 500.
WORKERS=N says how many there are (default 3). Needs psycopg.
"""

import json
import os
import signal
import socket
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg

UNKNOWN_ITEM, UNKNOWN_USER = "unknown_item", "unknown_user"
OUT_OF_STOCK, INSUFFICIENT_BALANCE = "out_of_stock", "insufficient_balance"


class Refused(Exception):
    """Nothing was bought, and why."""


class Handler(BaseHTTPRequestHandler):
    database = None

    def do_GET(self):
        self.answer(200, {"status": "ok"})

    def do_POST(self):
        order = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            self.answer(200, self.purchase(order["user_id"], order["item_id"]))
        except Refused as refused:
            self.answer(400, {"code": str(refused)})
        except psycopg.Error as error:
            # Not to be trusted again, whatever it was.
            if Handler.database is not None:
                Handler.database.close()
                Handler.database = None
            conflict = error.sqlstate in ("40001", "40P01", "55P03")
            self.answer(409 if conflict else 500, {"code": "conflict" if conflict else "internal"})

    def purchase(self, user_id, item_id):
        connection = self.to_database()
        with connection.transaction():
            item = connection.execute(
                "select price, stock from item where id = %s for update", [item_id]).fetchone()
            if item is None:
                raise Refused(UNKNOWN_ITEM)
            price, stock = item
            if stock == 0:
                raise Refused(OUT_OF_STOCK)
            wallet = connection.execute(
                "select balance from wallet where user_id = %s for update", [user_id]).fetchone()
            if wallet is None:
                raise Refused(UNKNOWN_USER)
            if wallet[0] < price:
                raise Refused(INSUFFICIENT_BALANCE)
            connection.execute(
                "update wallet set balance = balance - %s where user_id = %s", [price, user_id])
            connection.execute("update item set stock = stock - 1 where id = %s", [item_id])
            (purchase_id,) = connection.execute(
                "insert into purchase (user_id, item_id, price) values (%s, %s, %s) returning id",
                [user_id, item_id, price]).fetchone()
        return {"purchase_id": purchase_id, "price": price, "balance_left": wallet[0] - price}

    def to_database(self):
        if Handler.database is None:
            connection = psycopg.connect(
                os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None)
            connection.execute("set time zone 'UTC'")
            Handler.database = connection
        return Handler.database

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def main():
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=1024)
    pids = []
    for _ in range(int(os.environ.get("WORKERS", "3"))):
        pid = os.fork()
        if pid == 0:
            server = HTTPServer(listener.getsockname(), Handler, bind_and_activate=False)
            server.socket = listener
            server.serve_forever()
        pids.append(pid)

    def stop(*_):
        for pid in pids:
            os.kill(pid, signal.SIGTERM)
        os._exit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.pause()


if __name__ == "__main__":
    main()
