// node-postgres. Where it connects to is in libpq's variables.
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import pg from 'pg'
import Cursor from 'pg-cursor'
import copy from 'pg-copy-streams'
import { equal, fails, tried } from './tried.mjs'

async function clients(n, use) {
  const all = Array.from({ length: n }, () => new pg.Client())
  for (const c of all) c.on('error', () => {})
  try {
    await Promise.all(all.map((c) => c.connect()))
    await use(...all)
  } finally {
    await Promise.all(all.map((c) => c.end()))
  }
}

const value = async (c, text, values) => Object.values((await c.query(text, values)).rows[0])[0]

await tried('simple query', () => clients(1, async (c) => {
  equal(await value(c, 'SELECT 1 AS n'), 1)
  equal((await c.query('SELECT 1; SELECT 2')).map((r) => Object.values(r.rows[0])[0]), [1, 2])
}))

await tried('parameters', () => clients(1, async (c) => {
  equal(await value(c, 'SELECT $1::text || $2', ['a', 'b']), 'ab')
  equal(await value(c, 'SELECT $1::bytea', [Buffer.from([0, 1, 255])]), Buffer.from([0, 1, 255]))
}))

await tried('an error, and on', () => clients(1, async (c) => {
  await fails('22012', () => c.query('SELECT 1/$1::int', [0]))
  await fails('42703', () => c.query('SELECT nonsense'))
  equal(await value(c, 'SELECT $1::int', [3]), 3)
}))

await tried('prepared statements', () => clients(3, async (...all) => {
  for (let round = 0; round < 5; round++) {
    for (const [i, c] of all.entries()) { // one name, another text for each client
      equal(await value(c, { name: 'mine', text: `SELECT 'client ${i}' || $1::text`, values: [` ${round}`] }), `client ${i} ${round}`)
      equal(await value(c, { name: 'ours', text: 'SELECT $1::int + 1', values: [round] }), round + 1)
    }
  }
}))

await tried('prepared statement that fails', () => clients(1, async (c) => {
  await fails('42703', () => c.query({ name: 'bad', text: 'SELECT nonsense' }))
  equal(await value(c, { name: 'bad', text: 'SELECT 4 AS n' }), 4)
}))

await tried('transactions', () => clients(2, async (a, b) => {
  await a.query('CREATE TABLE node_pg (n int)')
  await a.query('BEGIN')
  await a.query('INSERT INTO node_pg VALUES ($1)', [1])
  equal(await value(b, 'SELECT count(*)::int FROM node_pg'), 0)
  await a.query('ROLLBACK')
  await a.query('BEGIN')
  await a.query('INSERT INTO node_pg VALUES ($1)', [2])
  await a.query('COMMIT')
  equal(await value(b, 'SELECT n FROM node_pg'), 2)
}))

await tried('COPY', () => clients(1, async (c) => {
  await c.query('CREATE TABLE node_copy (n int, t text)')
  const lines = Array.from({ length: 10_000 }, (_, i) => `${i}\tline ${i}\n`)
  await pipeline(Readable.from(lines), c.query(copy.from('COPY node_copy FROM stdin')))
  let out = ''
  for await (const chunk of c.query(copy.to('COPY (SELECT * FROM node_copy ORDER BY n) TO stdout'))) out += chunk
  equal(out, lines.join(''))
  await fails('22P02', () => pipeline(Readable.from(['x\ty\n']), c.query(copy.from('COPY node_copy FROM stdin'))))
  equal(await value(c, 'SELECT count(*)::int FROM node_copy'), 10_000)
}))

await tried('cursor', () => clients(1, async (c) => {
  await c.query('BEGIN')
  const cursor = c.query(new Cursor('SELECT n FROM generate_series(1, $1::int) n', [25]))
  let seen = 0
  for (let rows; (rows = await cursor.read(10)).length > 0;) seen += rows.length
  await cursor.close()
  await c.query('COMMIT')
  equal(seen, 25)
}))

await tried('cancel', () => clients(1, async (c) => {
  let error
  const query = new pg.Query('SELECT pg_sleep(100)', (e) => { error = e ?? { code: 'none' } })
  c.query(query)
  while (!error) { // the first request may come before the statement runs
    new pg.Client().cancel(c, query)
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  equal(error.code, '57014')
  equal(await value(c, 'SELECT 5 AS n'), 5)
}))

await tried('LISTEN and NOTIFY', () => clients(2, async (a, b) => {
  const heard = new Promise((resolve) => a.on('notification', (n) => resolve(n.payload)))
  await a.query('LISTEN node_news')
  await b.query("NOTIFY node_news, 'from b'")
  equal(await heard, 'from b')
}))

await tried('large values', () => clients(1, async (c) => {
  const text = 'x'.repeat(5_000_000)
  equal((await value(c, 'SELECT $1::text', [text])).length, text.length)
}))

await tried('a pool of many clients', async () => {
  const pool = new pg.Pool({ max: 30 })
  const numbers = Array.from({ length: 300 }, (_, i) => i)
  const got = await Promise.all(numbers.map((i) => value(pool, 'SELECT $1::int', [i])))
  await pool.end()
  equal(got, numbers)
})

process.exit()
