"""Looks at an account and rolls back, on one connection.

It forgets its prepared statements after every third rollback, as psycopg 3 does now and then, and
counts the accounts before every fourth.
"""

import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

import psycopg

connection = None
served = 0


def look():
    global connection, served
    if connection is None or connection.closed:
        url = os.environ["DATABASE_URL"]
        connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
    served += 1
    connection.execute("begin")
    try:
        connection.execute("select balance from account where id = 1 for update")
        if served % 4 == 0:
            connection.execute("select count(*) from account")
    finally:
        if not connection.closed:
            connection.execute("rollback")
    if served % 3 == 0:
        connection.execute("deallocate all")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            look()
            status = 200
        except psycopg.Error as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            status = 500
        self.send_response(status)
        self.send_header("content-length", "0")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


class Server(HTTPServer):
    request_queue_size = 128  # Many come at once, to a server that serves one at a time.


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
