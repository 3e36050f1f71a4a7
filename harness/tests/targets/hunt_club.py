"""A club that hands out coupons, moves points and takes notes: for hunting, in right and wrong kinds.

KIND is `locked` or `unlocked` (coupons), ORDER `fixed` or `asked` (whose account is locked first),
READS how many statements a redemption sends beside those that matter.
"""

import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

UNLOCKED = os.environ.get("KIND") == "unlocked"
ASKED = os.environ.get("ORDER") == "asked"
READS = int(os.environ.get("READS", "0"))

SCHEMA = """
create table if not exists coupon (code text primary key, remaining int not null);
create table if not exists redemption (id bigserial primary key, code text not null, who text not null);
create table if not exists account (id int primary key, points int not null);
create table if not exists note (id bigserial primary key, body text not null);
insert into coupon values ('TEN', 1) on conflict do nothing;
insert into account values (1, 10), (2, 10) on conflict do nothing;
"""

local = threading.local()


def connection():
    if getattr(local, "connection", None) is None:
        local.connection = psycopg.connect(
            os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None)
    return local.connection


def look_around(sql, count):
    """What an ORM fetches, and fetches again."""
    for _ in range(count):
        sql("select a.id, (select count(*) from coupon c where c.remaining >= 0) from account a"
            " left join coupon c on c.code = a.id::text where a.points + 0 >= 0")


def redeem(sql, asked):
    look_around(sql, READS // 2)
    with connection().transaction():
        look_around(sql, READS // 8)
        lock = "" if UNLOCKED else " for update"
        remaining = sql(f"select remaining from coupon where code = %s{lock}", asked["code"])[0][0]
        look_around(sql, READS - READS // 2 - READS // 8)
        if remaining == 0:
            return 409, {"error": "used_up"}
        sql("update coupon set remaining = %s where code = %s", remaining - 1, asked["code"])
        sql("insert into redemption (code, who) values (%s, %s)", asked["code"], asked["who"])
    return 200, {}


def move(sql, asked):
    first, second = asked["from"], asked["to"]
    ids = [first, second] if ASKED else sorted([first, second])
    if ASKED and READS:
        # A race of its own, before any lock.
        count = sql("select count(*) from note")[0][0]
        sql("insert into note (body) values (%s)", str(count))
    with connection().transaction():
        for account in ids:
            sql("select points from account where id = %s for update", account)
        sql("update account set points = points - 1 where id = %s", first)
        sql("update account set points = points + 1 where id = %s", second)
    return 200, {}


def note(sql, asked):
    sql("insert into note (body) values (%s)", asked["body"])
    return 200, {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.answer(200, {})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        does = {"/redeem": redeem, "/move": move, "/note": note}[self.path]

        def sql(text, *values):
            cursor = connection().execute(text, values)
            return cursor.fetchall() if cursor.description else []

        try:
            self.answer(*does(sql, json.loads(body)))
        except psycopg.Error as error:
            self.answer(500, {"error": str(error)})

    def answer(self, status, body):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


with psycopg.connect(os.environ["DATABASE_URL"]) as once:
    once.execute(SCHEMA)
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
