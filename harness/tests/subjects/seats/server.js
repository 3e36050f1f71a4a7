// Seats of a cinema, on node:http and pg.
//
// VARIANT=right holds the seat's row from the look to the write; VARIANT=wrong only looks.
'use strict';

const http = require('node:http');
const { Pool } = require('pg');

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 4 });
// A connection that ends while nobody uses it is replaced by the next.
pool.on('error', () => {});

const LOCK = process.env.VARIANT === 'wrong' ? '' : 'for update';

class Refusal extends Error {}

async function reserve(client, screening, place, holder) {
  const { rows } = await client.query(
    `select taken_by from seat where screening = $1 and place = $2 ${LOCK}`,
    [screening, place],
  );
  if (rows.length === 0) throw new Refusal('no_such_seat');
  if (rows[0].taken_by !== null) throw new Refusal('taken');
  await client.query('update seat set taken_by = $3 where screening = $1 and place = $2', [
    screening, place, holder,
  ]);
  const made = await client.query(
    'insert into reservation (screening, place, holder) values ($1, $2, $3) returning id, made_at',
    [screening, place, holder],
  );
  return made.rows[0];
}

async function inTransaction(work) {
  const client = await pool.connect();
  try {
    await client.query('begin');
    const result = await work(client);
    await client.query('commit');
    return result;
  } catch (error) {
    await client.query('rollback');
    throw error;
  } finally {
    client.release();
  }
}

async function answer(request) {
  const path = /^\/screenings\/([0-9a-f-]+)\/seats\/(\w+)$/.exec(request.url);
  if (request.method !== 'POST' || path === null) return [404, { error: 'not_found' }];
  let body = '';
  for await (const part of request) body += part;
  try {
    const { holder } = JSON.parse(body);
    return [201, await inTransaction((client) => reserve(client, path[1], path[2], holder))];
  } catch (error) {
    if (error instanceof Refusal) return [422, { error: error.message }];
    console.error(error);
    return [500, { error: 'internal' }];
  }
}

const server = http.createServer(async (request, response) => {
  const [status, body] = await answer(request);
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
});
server.listen(Number(process.env.PORT), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
