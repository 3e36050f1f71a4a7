// Orders of several lines through two requests, on node:http and pg: a basket, then a checkout.
//
// VARIANT=right    looks at the stock again at the checkout, and locks it
// VARIANT=wrong    looks at the checkout and locks nothing
// VARIANT=between  looks while the basket is filled, and believes that at the checkout
'use strict';

const crypto = require('node:crypto');
const http = require('node:http');
const { Pool } = require('pg');

const VARIANT = process.env.VARIANT ?? 'right';
// The strongest lock that lets others put a product in their baskets: a foreign key asks for it.
const LOCK = VARIANT === 'wrong' ? '' : 'for no key update';
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
// A connection that ends while nobody uses it is replaced by the next.
pool.on('error', () => {});

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function signUp(client, _, { email }) {
  const token = crypto.randomUUID();
  await client.query('insert into customer (email, token) values ($1, $2)', [email, token]);
  return [201, { 'set-cookie': `session=${token}; HttpOnly; Path=/` }, {}];
}

const tokenOf = (request) => /session=([^;]+)/.exec(request.headers.cookie ?? '')?.[1];

// Each line of the basket that cannot be had.
async function missing(client, lines, lock) {
  const { rows } = await client.query(
    `select sku, stock from product where sku = any ($1) order by sku ${lock}`,
    [lines.map(({ sku }) => sku)],
  );
  const stock = new Map(rows.map((row) => [row.sku, row.stock]));
  return lines.filter(({ sku, quantity }) => stock.get(sku) < quantity);
}

async function fillBasket(client, request, { lines }) {
  if (VARIANT === 'between' && (await missing(client, lines, '')).length > 0) {
    throw new Refusal(422, 'sold out');
  }
  const filled = await client.query(
    `insert into basket_line (customer, sku, quantity)
     select customer.id, line.sku, line.quantity
       from customer, jsonb_to_recordset($2) as line (sku text, quantity integer)
      where token = $1`,
    [tokenOf(request), JSON.stringify(lines)],
  );
  if (filled.rowCount === 0) throw new Refusal(401, 'who are you?');
  return [204, {}, undefined];
}

async function checkOut(client, request) {
  const { rows: lines } = await client.query(
    `delete from basket_line using customer
      where customer = customer.id and token = $1
     returning customer, sku, quantity`,
    [tokenOf(request)],
  );
  if (lines.length === 0) throw new Refusal(422, 'nothing in the basket');
  if (VARIANT !== 'between' && (await missing(client, lines, LOCK)).length > 0) {
    throw new Refusal(422, 'sold out');
  }
  const placed = await client.query('insert into "order" (customer) values ($1) returning id', [
    lines[0].customer,
  ]);
  await client.query(
    `with line as (
       insert into order_line
       select $1, sku, quantity from jsonb_to_recordset($2) as line (sku text, quantity integer)
       returning sku, quantity
     )
     update product set stock = stock - quantity from line where line.sku = product.sku`,
    [placed.rows[0].id, JSON.stringify(lines)],
  );
  return [302, { location: `/orders/${placed.rows[0].id}` }, undefined];
}

const ROUTES = { '/sign-up': signUp, '/basket': fillBasket, '/checkout': checkOut };

async function answer(request) {
  const route = ROUTES[request.url];
  if (request.method !== 'POST' || route === undefined) return [404, {}, {}];
  let body = '';
  for await (const part of request) body += part;
  const client = await pool.connect();
  try {
    await client.query('begin');
    const answered = await route(client, request, JSON.parse(body || '{}'));
    await client.query('commit');
    return answered;
  } catch (error) {
    await client.query('rollback');
    if (error instanceof Refusal) return [error.status, {}, { error: error.message }];
    console.error(error);
    return [500, {}, { error: 'internal' }];
  } finally {
    client.release();
  }
}

const server = http.createServer(async (request, response) => {
  const [status, headers, body] = await answer(request);
  response.writeHead(status, { ...headers, 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
