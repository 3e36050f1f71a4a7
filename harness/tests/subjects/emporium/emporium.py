"""An emporium on psycopg whose checkout sends some 300 statements, as an ORM would.

right   locks the stock before it looks at it
wrong   looks at the stock and locks nothing

It reads through joins, subqueries, a recursive query and predicates that only PostgreSQL can evaluate,
fetches everything twice, and keeps the last visit of each customer up to date beside. A second argument says how
many products a page shows: 15, unless it says otherwise.
"""

import json
import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psycopg

PRODUCTS = int(sys.argv[2])
LOCK = "" if sys.argv[1] == "wrong" else "order by s.product_id for update of s"

CUSTOMER = """
select c.id, c.name, v.pages from customer c left join visit v on v.customer = c.id
 where lower(trim(c.name)) = lower(trim(%s))"""
VISIT = "update visit set pages = pages + 1, seen = now() where customer = %s"
PRODUCT = """
select p.id, p.name, p.price, g.name as category,
       (select count(*) from review r where r.product_id = p.id and r.stars + 0 >= 1) as reviews
  from product p join category g on g.id = p.category_id
 where p.id = any(%s) and length(p.name) > 0
 order by p.id"""
IN_STOCK = """
select p.id, coalesce(sum(s.on_hand), 0) as on_hand
  from product p left join stock s on s.product_id = p.id
 where p.price * 1 > 0 and p.id %% 10 = %s group by p.id order by p.id"""
TREE = """
with recursive tree as (
    select id, name, parent from category where parent is null
    union all
    select c.id, c.name, c.parent from category c join tree t on c.parent = t.id
)
select id, row_number() over (order by name) from tree order by id"""
REVIEWS = """
select stars, to_char(avg(stars), 'FM9.9') from review
 where md5(product_id::text) = md5(%s::text) group by rollup (stars) order by 1"""
BASKET = """
select l.product_id, l.quantity, p.price from basket_line l join product p on p.id = l.product_id
 where l.customer = %s order by l.product_id"""
STOCK = f"""
select s.product_id, s.on_hand from stock s join product p on p.id = s.product_id
 where s.product_id = any(%s) and p.price > 0 {LOCK}"""
SPENT = """
select coalesce(sum(l.quantity * l.price), 0)
  from orders o join order_line l on l.order_id = o.id where o.customer = %s"""
SHIPPING = """
select z.name, z.price from zone z
 where exists (select 1 from product p where p.id = %s and p.price >= z.above) order by z.above desc"""

local = threading.local()


def connection():
    if getattr(local, "connection", None) is None:
        url = os.environ["DATABASE_URL"]
        local.connection = psycopg.connect(url, autocommit=True, prepare_threshold=None)
    return local.connection


def sql(text, *values):
    cursor = connection().execute(text, values)
    return cursor.fetchall() if cursor.description else []


def twice(text, *values):
    sql(text, *values)
    return sql(text, *values)


def browse(customer):
    """What the page shows, product by product: 258 statements."""
    sql(VISIT, customer)
    for _ in range(4):
        twice(TREE)
        for product in range(1, PRODUCTS + 1):
            twice(PRODUCT, [product, product % PRODUCTS + 1])
            twice(REVIEWS, product)
        twice(IN_STOCK, customer % 10)
    sql("insert into page_view (customer, path) values (%s, '/checkout')", customer)


def check_out(customer):
    """Within a transaction, 40 statements with BEGIN and COMMIT; the answer."""
    lines = twice(BASKET, customer)
    products = [product for product, _, _ in lines]
    twice(PRODUCT, products)
    on_hand = dict(twice(STOCK, products))
    if any(on_hand[product] < quantity for product, quantity, _ in lines):
        return 422, {"error": "sold out"}
    order = sql("insert into orders (customer) values (%s) returning id", customer)[0][0]
    for product, quantity, price in lines:
        twice(SHIPPING, product)
        twice(PRODUCT, [product])
        twice(REVIEWS, product)
        sql("insert into order_line (order_id, product_id, quantity, price) values (%s, %s, %s, %s)",
            order, product, quantity, price)
        sql("update stock set on_hand = %s where product_id = %s", on_hand[product] - quantity, product)
    sql("delete from basket_line where customer = %s", customer)
    twice(CUSTOMER, f"customer {customer}")
    twice(SPENT, customer)
    twice(TREE)
    return 201, {}


def serve(customer):
    twice(CUSTOMER, f"customer {customer}")
    browse(customer)
    with connection().transaction():
        answered = check_out(customer)
    for product in range(1, 4):
        twice(PRODUCT, [product])
    twice(SPENT, customer)
    return answered


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        try:
            status, answer = serve(body["customer"])
        except psycopg.Error as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            status, answer = 500, {}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
ThreadingHTTPServer.request_queue_size = 64
ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
