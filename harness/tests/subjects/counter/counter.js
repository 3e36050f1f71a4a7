// Counts in one statement. `right` hears of connections that end while they lie idle in the pool;
// `deaf` does not, and an event "error" that nobody hears ends a Node process.
const http = require("node:http");
const { Pool } = require("pg");

const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 3 });
if (process.argv[2] !== "deaf") pool.on("error", () => {});

const server = http.createServer(async (request, response) => {
  if (request.method !== "POST") {
    response.writeHead(404).end();
    return;
  }
  try {
    await pool.query("update counter set value = value + 1 where id = 1");
    response.writeHead(200).end("{}");
  } catch (error) {
    console.error(error.message);
    response.writeHead(500).end();
  }
});
server.listen(Number(process.env.PORT), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
