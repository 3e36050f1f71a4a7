// A stock on node:http and pg, with limits of its own; what meets one is answered 500, or 401.
//
// LIMIT=pool       one connection, for which a request waits a quarter of a second
// LIMIT=lock       lock_timeout: a row is waited for no longer than 50 ms
// LIMIT=statement  statement_timeout: no statement takes longer than 50 ms
// LIMIT=idle       idle_in_transaction_session_timeout: a transaction lies idle for 0.4 s at most
// LIMIT=login      a login lasts LIFE_MS, and whoever has the row keeps it for KEEPS_MS
//
// VARIANT=right    locks the row
// VARIANT=wrong    looks at the stock and locks nothing
'use strict';

const crypto = require('node:crypto');
const http = require('node:http');
const { Pool } = require('pg');

const LIMIT = process.env.LIMIT;
const LOCK = process.env.VARIANT === 'wrong' ? '' : 'for update';
const LIFE_MS = Number(process.env.LIFE_MS ?? 3_600_000);
const SETTINGS = {
  lock: { options: '-c lock_timeout=50' },
  statement: { statement_timeout: 50 },
  idle: { idle_in_transaction_session_timeout: 400 },
};
const pool = new Pool({
  connectionString: process.env.DATABASE_URL,
  max: LIMIT === 'pool' ? 1 : 4,
  connectionTimeoutMillis: LIMIT === 'pool' ? 250 : 0,
  ...SETTINGS[LIMIT],
});
// A connection that ends is replaced by the next, whether or not somebody uses it.
pool.on('error', () => {});
pool.on('connect', (client) => client.on('error', () => {}));

// Where others are to wait for longer than they do, whoever has the row keeps it for a while.
const KEEPS = { lock: 200, statement: 200, login: Number(process.env.KEEPS_MS) }[LIMIT];
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function take(client) {
  await client.query('begin');
  const { rows } = await client.query(`select stock from item where id = 1 ${LOCK}`);
  if (rows[0].stock === 0) {
    await client.query('rollback');
    return 410;
  }
  await client.query('update item set stock = $1 where id = 1', [rows[0].stock - 1]);
  if (KEEPS) await pause(KEEPS);
  if (LIMIT === 'idle') await client.query('select pg_sleep(0.8)');
  await client.query('commit');
  return 200;
}

async function withClient(work) {
  const client = await pool.connect();
  let failed = true;
  try {
    const status = await work(client);
    failed = false;
    return status;
  } finally {
    client.release(failed);
  }
}

async function logIn() {
  const token = crypto.randomUUID();
  await pool.query('insert into session (token, began) values ($1, $2)', [token, Date.now()]);
  return token;
}

async function isValid(token) {
  const { rows } = await pool.query('select began from session where token = $1', [token]);
  return rows.length > 0 && Date.now() - Number(rows[0].began) < LIFE_MS;
}

async function answer(request) {
  try {
    if (request.url === '/login') return [200, { token: await logIn() }];
    if (request.url !== '/take') return [404, {}];
    const token = (request.headers.authorization ?? '').replace('Bearer ', '');
    if (!(await isValid(token))) return [401, { error: 'log in' }];
    return [await withClient(take), {}];
  } catch (error) {
    console.error(error.message);
    return [500, {}];
  }
}

const server = http.createServer(async (request, response) => {
  const [status, body] = await answer(request);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
