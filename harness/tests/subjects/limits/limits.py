"""A stock on psycopg, with limits of its own; what meets one is answered 500.

pool    one connection, for which a request waits a quarter of a second
lock    locks the row, and waits for it no longer than 50 ms, while others hold it for longer
wrong   looks at the stock and locks nothing, with the limits of both
"""

import os
import queue
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

KIND = sys.argv[1]
LOCK = "" if KIND == "wrong" else "for update"

pool = queue.Queue()


def connect():
    connection = psycopg.connect(os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None)
    if KIND in ("lock", "wrong"):
        connection.execute("set lock_timeout = '50ms'")
    return connection


def take(connection):
    with connection.transaction():
        stock = connection.execute(f"select stock from item where id = 1 {LOCK}").fetchone()[0]
        if stock == 0:
            return 410
        connection.execute("update item set stock = %s where id = 1", [stock - 1])
        if KIND == "lock":
            time.sleep(0.2)
    return 200


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            connection = pool.get(timeout=0.25)
        except queue.Empty:
            return self.answer(500)
        try:
            status = take(connection)
        except psycopg.Error as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            status = 500
        finally:
            pool.put(connection)
        self.answer(status)

    def do_GET(self):
        self.answer(404)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


for _ in range(1 if KIND == "pool" else 3):
    pool.put(connect())
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
