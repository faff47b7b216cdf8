// Tells on standard output what was tried, a line each: "ok NAME" or "not ok NAME: WHY".
import assert from 'node:assert/strict'

const patience = 30_000

export async function tried(name, what) {
  let timer
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('it takes too long')), patience) })
  try {
    await Promise.race([what(), late])
    console.log(`ok ${name}`)
  } catch (error) {
    console.log(`not ok ${name}: ${error.code ?? ''} ${error.message}`.replaceAll('\n', ' '))
  } finally {
    clearTimeout(timer)
  }
}

export const equal = assert.deepEqual

// fails checks that something is refused with this SQLSTATE.
export async function fails(code, what) {
  await assert.rejects(what, (error) => error.code === code)
}
