// postgres.js: it prepares every statement and pipelines. Where it connects to is in libpq's variables.
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import postgres from 'postgres'
import { equal, fails, tried } from './tried.mjs'

async function connection(options, use) {
  const sql = postgres({ max: 1, onnotice: () => {}, ...options })
  try {
    await use(sql)
  } finally {
    await sql.end({ timeout: 5 })
  }
}

await tried('statements', () => connection({}, async (sql) => {
  equal([...(await sql`SELECT ${1}::int AS n`)], [{ n: 1 }])
  equal([...(await sql`SELECT ${'a'}::text AS t, ${[1, 2, 3]}::int[] AS a`)], [{ t: 'a', a: [1, 2, 3] }])
}))

await tried('without preparing', () => connection({ prepare: false }, async (sql) => {
  for (let i = 0; i < 5; i++) equal((await sql`SELECT ${i}::int AS n`)[0].n, i)
}))

await tried('a pipeline', () => connection({}, async (sql) => {
  const numbers = Array.from({ length: 200 }, (_, i) => i)
  equal((await Promise.all(numbers.map((i) => sql`SELECT ${i}::int AS n`))).map((r) => r[0].n), numbers)
}))

await tried('a pipeline with errors in it', () => connection({}, async (sql) => {
  const outcomes = await Promise.allSettled(Array.from({ length: 50 }, (_, i) => sql`SELECT 10 / ${i % 5}::int AS n`))
  outcomes.forEach((o, i) => equal(o.status === 'fulfilled' ? o.value[0].n : o.reason.code, i % 5 ? Math.trunc(10 / (i % 5)) : '22012'))
}))

await tried('two clients of the same statements', async () => {
  await connection({}, (a) => connection({}, async (b) => {
    for (let i = 0; i < 10; i++) {
      equal((await a`SELECT 'a' || ${i}::text AS t`)[0].t, `a${i}`)
      equal((await b`SELECT 'b' || ${i}::text AS t`)[0].t, `b${i}`)
      equal((await b`SELECT 'a' || ${i}::text AS t`)[0].t, `a${i}`)
    }
  }))
})

await tried('transactions', () => connection({ max: 2 }, async (sql) => {
  await sql`CREATE TABLE node_postgres (n int)`
  await fails('22012', () => sql.begin(async (tx) => {
    await tx`INSERT INTO node_postgres VALUES (1)`
    await tx`SELECT 1 / ${0}::int`
  }))
  await sql.begin(async (tx) => {
    await tx`INSERT INTO node_postgres VALUES (2)`
    await fails('23505', () => tx.savepoint(async (inner) => {
      await inner`INSERT INTO node_postgres VALUES (3)`
      await inner`DO $$ BEGIN RAISE unique_violation; END $$`
    }))
  })
  equal([...(await sql`SELECT n FROM node_postgres`)], [{ n: 2 }])
}))

await tried('COPY', () => connection({}, async (sql) => {
  await sql`CREATE TABLE node_postgres_copy (n int)`
  const lines = Array.from({ length: 10_000 }, (_, i) => `${i}\n`)
  await pipeline(Readable.from(lines), await sql`COPY node_postgres_copy FROM stdin`.writable())
  let out = ''
  for await (const chunk of await sql`COPY (SELECT n FROM node_postgres_copy ORDER BY n) TO stdout`.readable()) out += chunk
  equal(out, lines.join(''))
}))

await tried('cursor', () => connection({}, async (sql) => {
  let seen = 0
  await sql.begin(async (tx) => {
    await tx`SELECT generate_series(1, 25) AS n`.cursor(10, (rows) => { seen += rows.length })
  })
  equal(seen, 25)
}))

await tried('cancel', () => connection({}, (sql) => connection({}, async (other) => {
  const query = sql`SELECT pg_sleep(100)`.execute()
  const ended = query.then(() => 'none', (error) => error.code)
  const runs = () => other`SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(100)' AND state = 'active'`
  while ((await runs()).length === 0); // it can be cancelled once
  query.cancel()
  equal(await ended, '57014')
  equal((await sql`SELECT 5 AS n`)[0].n, 5)
})))

await tried('LISTEN and NOTIFY', () => connection({}, async (sql) => {
  await new Promise((resolve, reject) => {
    sql.listen('node_postgres_news', resolve, () => sql.notify('node_postgres_news', 'here')).catch(reject)
  })
}))

await tried('simple queries and large values', () => connection({}, async (sql) => {
  equal((await sql.unsafe('SELECT 1 AS n; SELECT 2 AS n')).map((r) => r[0].n), [1, 2])
  equal((await sql`SELECT repeat('x', 5000000) AS t`)[0].t.length, 5_000_000)
}))

await tried('many clients', () => connection({ max: 30 }, async (sql) => {
  const numbers = Array.from({ length: 300 }, (_, i) => i)
  equal((await Promise.all(numbers.map((i) => sql`SELECT ${i}::int AS n`))).map((r) => r[0].n), numbers)
}))

process.exit()
