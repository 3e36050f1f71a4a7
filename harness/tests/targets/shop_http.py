"""The shop over HTTP, for targets that the harness starts as foreign programs.

One idea: everything about a target is here except its purchase function, so that two
targets differ by nothing else. `main(purchase)` listens on 127.0.0.1:$PORT, uses
$DATABASE_URL, and stops on SIGTERM after the requests under way. It makes no schema,
and it neither locks nor retries: whether a shop is right is up to its purchase.

Needs Python 3.9 and psycopg 3. POOL_SIZE=N bounds a worker's connections to the
database (default 10); WORKERS=N processes share the listening socket (default 1).
"""

import asyncio
import contextlib
import json
import os
import resource
import select
import signal
import socket
from http import HTTPStatus
from typing import Any, Awaitable, Callable, NamedTuple, Optional, Union

import psycopg

BACKLOG = 16_384  # Buyers arrive all at once; the kernel caps it at net.core.somaxconn.
BODY_BYTES_MAX = 4096
I64_MIN, I64_MAX = -(2**63), 2**63 - 1
SHUTDOWN_SECONDS = 10


class Order(NamedTuple):
    user_id: int
    item_id: int


class Receipt(NamedTuple):
    purchase_id: Optional[int]  # None where the shop keeps no purchases.
    user_id: int
    item_id: int
    price: int
    balance_left: int


class Refusal(NamedTuple):
    """Why nothing was bought: an answer, not an error."""

    code: str
    status: int = 400


UNKNOWN_ITEM = Refusal("unknown_item")
UNKNOWN_USER = Refusal("unknown_user")
OUT_OF_STOCK = Refusal("out_of_stock")
INSUFFICIENT_BALANCE = Refusal("insufficient_balance")
KEY_REUSED = Refusal("idempotency_key_reused", 422)
CONFLICT = Refusal("conflict", 409)

# Called with a connection that is in no transaction, the order, and the idempotency key.
Purchase = Callable[
    [psycopg.AsyncConnection, Order, Optional[str]], Awaitable[Union[Receipt, Refusal]]
]


class Request(NamedTuple):
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


class Refused(Exception):
    """The request cannot be answered otherwise than by this refusal."""

    def __init__(self, refusal: Refusal):
        super().__init__(refusal.code)
        self.refusal = refusal


def main(purchase: Purchase, shop: Optional[type["Shop"]] = None) -> None:
    """Serve until SIGTERM or SIGINT; the exit code is 0 then, and 1 if a worker died."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    listener = socket.create_server(("127.0.0.1", int(os.environ["PORT"])), backlog=BACKLOG)
    listener.setblocking(False)
    workers = int(os.environ.get("WORKERS", "1"))
    make = lambda: (shop or Shop)(purchase)
    if workers == 1:
        asyncio.run(make().serve(listener))
    else:
        raise SystemExit(supervise(make, listener, workers))


def supervise(make: Callable[[], "Shop"], listener: socket.socket, workers: int) -> int:
    """Fork the workers, pass a signal to stop on to them, and wait for them all."""
    pids = set()

    def stop(*_):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    # Blocked while forking, so that a signal finds all the workers or none.
    stops = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    for _ in range(workers):
        pid = os.fork()
        if pid == 0:
            asyncio.run(make().serve(listener))
            os._exit(0)
        pids.add(pid)
    for number in stops:
        signal.signal(number, stop)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stops)
    listener.close()

    died = False
    while pids:
        pid, status = os.wait()
        pids.discard(pid)
        if status != 0 and not died:
            # A shop with fewer workers than asked for would be another shop.
            died = True
            stop()
    return int(died)


class Shop:
    """One worker: its connections to the database and the requests under way."""

    def __init__(self, purchase: Purchase):
        self.purchase = purchase
        # Slots rather than connections: None is one that is yet to be made.
        self.slots: asyncio.LifoQueue = asyncio.LifoQueue()
        for _ in range(int(os.environ.get("POOL_SIZE", "10"))):
            self.slots.put_nowait(None)
        self.under_way: set[asyncio.Task] = set()
        self.stopping = asyncio.Event()

    async def serve(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stopping.set)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGINT})

        accepting = asyncio.create_task(self.accept(listener))
        stopped = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({accepting, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if accepting.done():
            accepting.result()
        accepting.cancel()
        listener.close()
        deadline = loop.time() + SHUTDOWN_SECONDS
        while self.under_way and loop.time() < deadline:
            await asyncio.wait(self.under_way, timeout=deadline - loop.time())

    async def accept(self, listener: socket.socket) -> None:
        # One connection per turn of the loop, so that workers share them out;
        # asyncio's own server takes as many as wait.
        loop = asyncio.get_running_loop()
        clients = set()
        while True:
            connection, _ = await loop.sock_accept(listener)
            client = asyncio.create_task(self.converse(connection))
            clients.add(client)
            client.add_done_callback(clients.discard)

    async def converse(self, connection: socket.socket) -> None:
        """Answer one client's requests until it hangs up. asyncio sets TCP_NODELAY."""
        reader, writer = await asyncio.open_connection(sock=connection)
        try:
            keep = True
            while keep:
                try:
                    request = await read_request(reader)
                except Refused as refused:
                    # What is left of the request cannot be told from the next one.
                    write(writer, problem(refused.refusal), keep=False)
                    break
                # A task of its own: a client that hangs up does not stop a purchase.
                answering = asyncio.create_task(self.respond(request, writer))
                self.under_way.add(answering)
                answering.add_done_callback(self.under_way.discard)
                keep = await answering
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        """Answer the request; says whether the connection is kept for another."""
        try:
            answer = await self.answer(request)
        except Refused as refused:
            answer = problem(refused.refusal)
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected,
                psycopg.errors.LockNotAvailable):
            answer = problem(CONFLICT)
        except Exception as error:  # Whatever it is, the client gets an answer.
            print(f"{request.method} {request.path}: {error!r}", flush=True)
            answer = problem(Refusal("internal", 500))
        close = request.headers.get("connection", "").lower() == "close"
        keep = not (close or self.stopping.is_set())
        write(writer, answer, keep)
        await writer.drain()
        return keep

    async def answer(self, request: Request) -> Answer:
        route = (request.method, request.path.rstrip("/"))
        if route == ("POST", "/api/purchase"):
            order = parse_order(request)
            key = request.headers.get("idempotency-key")
            outcome = await self.with_connection(lambda c: self.purchase(c, order, key))
            if isinstance(outcome, Refusal):
                return problem(outcome)
            fields = outcome._asdict().items()
            return Answer(200, {name: value for name, value in fields if value is not None})
        if route == ("GET", "/healthz"):
            await self.with_connection(lambda c: c.execute("select 1"))
            return Answer(200, {"status": "ok"})
        if route[1] in ("/api/purchase", "/healthz"):
            return problem(Refusal("method_not_allowed", 405))
        return problem(Refusal("not_found", 404))

    async def with_connection(self, use: Callable[[psycopg.AsyncConnection], Awaitable[Any]]) -> Any:
        connection = await self.slots.get()
        try:
            if connection is not None and hung_up(connection):
                await connection.close()
                connection = None
            if connection is None:
                connection = await connect()
            return await use(connection)
        except psycopg.Error:
            # Not to be trusted again: psycopg's transaction(), whose BEGIN has failed, believes
            # itself to be inside one ever after, and no purchase on it would succeed.
            if connection is not None:
                await connection.close()
                connection = None
            raise
        finally:
            self.slots.put_nowait(connection)


async def connect() -> psycopg.AsyncConnection:
    try:
        # Autocommit: a purchase says itself where its transaction begins and ends.
        # Never prepared: a request's steps look the same the first time and the tenth.
        return await psycopg.AsyncConnection.connect(
            os.environ["DATABASE_URL"], autocommit=True, prepare_threshold=None
        )
    except psycopg.OperationalError as error:
        print(f"cannot connect to the database: {error}", flush=True)
        raise Refused(Refusal("unavailable", 503)) from error


def hung_up(connection: psycopg.AsyncConnection) -> bool:
    """An idle connection has nothing to read, unless the server has ended it."""
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


async def read_request(reader: asyncio.StreamReader) -> Request:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        request_line, *lines = head.rstrip("\r\n").split("\r\n")
        method, target, _version = request_line.split(" ")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        length = int(headers.get("content-length", "0"))
    except (ValueError, asyncio.LimitOverrunError) as error:
        raise Refused(Refusal("invalid_request")) from error
    if "transfer-encoding" in headers:
        raise Refused(Refusal("length_required", 411))
    if not 0 <= length <= BODY_BYTES_MAX:
        raise Refused(Refusal("body_too_large", 413))
    body = await reader.readexactly(length)
    return Request(method, target.partition("?")[0], headers, body)


def parse_order(request: Request) -> Order:
    """The order in the body: two whole numbers that fit in 64 bits, and nothing else."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Refused(Refusal("unsupported_media_type", 415))
    try:
        fields = json.loads(request.body, object_pairs_hook=unique_names)
    except (ValueError, RecursionError) as error:
        raise Refused(Refusal("invalid_request")) from error
    if not isinstance(fields, dict) or sorted(fields) != ["item_id", "user_id"]:
        raise Refused(Refusal("invalid_request"))
    # Not isinstance, to which a bool is an int.
    if not all(type(value) is int and I64_MIN <= value <= I64_MAX for value in fields.values()):
        raise Refused(Refusal("invalid_request"))
    return Order(**fields)


def unique_names(pairs: list) -> dict:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a name is there twice")
    return fields


def problem(refusal: Refusal) -> Answer:
    return Answer(refusal.status, {
        "type": "about:blank",
        "title": refusal.code.replace("_", " "),
        "status": refusal.status,
        "code": refusal.code,
    })


def write(writer: asyncio.StreamWriter, answer: Answer, keep: bool) -> None:
    body = json.dumps(answer.body).encode()
    media_type = "application/json" if answer.status == 200 else "application/problem+json"
    head = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"content-type: {media_type}",
        f"content-length: {len(body)}",
    ]
    if answer.status == 503:
        head.append("retry-after: 1")
    if not keep:
        head.append("connection: close")
    writer.write("\r\n".join([*head, "", ""]).encode() + body)
