import { expect, test } from 'vitest'
import { hash32, headSigned, included, leafHash, ProofError, readHead, readKey, rootOf, sha256 } from './proof'
import vectors from './proof.vectors.json'

/** Logs of some entries, made and signed by the hub's own code in Python; entry i is 32 bytes of i. */
const { verifier, logs } = vectors
const entry = (index: number) => new Uint8Array(32).fill(index)
const hex = (bytes: Uint8Array) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
const proofOf = (log: (typeof logs)[number], index: number) => ({ index, size: log.size, leaf: log.leaves[index] as string, hashes: log.paths[index] as string[], checkpoint: log.checkpoint })

test('RFC 6962: the hash of an entry begins with 0, so that no node can pass for one', async () => {
  // The RFC's own test: the leaf hash of an empty entry.
  expect(hex(await leafHash(new Uint8Array()))).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
  expect(hex(await sha256())).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
})

test.each(logs.map((log) => [log.size, log] as const))('every entry of a log of %i is proven to be in its head', async (_, log) => {
  for (let index = 0; index < log.size; index++) expect((await included(entry(index), proofOf(log, index))).size).toBe(log.size)
})

test('an entry that is not in the log is proven by no proof of it', async () => {
  for (const log of logs) {
    for (let index = 0; index < log.size; index++) await expect(included(entry(99), proofOf(log, index))).rejects.toThrow(ProofError)
  }
})

test('a proof of one place does not do for another, nor with a hash that is changed, left out or added', async () => {
  const log = logs.find(({ size }) => size === 7) as (typeof logs)[number]
  const good = proofOf(log, 3)
  const other = `0x${'ab'.repeat(32)}`
  const bad = [
    { ...good, index: 2 },
    { ...good, index: 7 },
    { ...good, index: -1 },
    { ...good, size: 8 },
    { ...good, hashes: good.hashes.slice(1) },
    { ...good, hashes: [...good.hashes, other] },
    { ...good, hashes: [other, ...good.hashes.slice(1)] },
    { ...good, hashes: good.hashes.toReversed() },
    { ...good, hashes: ['0x12'] },
    { ...good, leaf: other },
    { ...good, checkpoint: (logs[0] as (typeof logs)[number]).checkpoint },
  ]
  for (const each of bad) await expect(included(entry(3), each)).rejects.toThrow(ProofError)
})

test('a path is as long as the log is high, and not a hash longer', async () => {
  await expect(rootOf(entry(0), 0, 1, [entry(1)])).rejects.toThrow('longer')
  await expect(rootOf(entry(0), 0, 2, [])).rejects.toThrow('shorter')
})

test("the log's key signed each head; a changed head, and another's signature, are not", async () => {
  for (const { checkpoint } of logs) expect(await headSigned(readHead(checkpoint), verifier)).toBe(true)
  const [small, large] = [logs[1], logs[5]] as [(typeof logs)[number], (typeof logs)[number]]
  const swapped = small.checkpoint.split('\n\n')[0] + '\n\n' + large.checkpoint.split('\n\n')[1]
  expect(await headSigned(readHead(swapped), verifier)).toBe(false)
  const unsigned = `${large.checkpoint.split('\n\n')[0]}\n\n`
  expect(await headSigned(readHead(unsigned), verifier)).toBe(false)
})

test('a key that is not what its id says is no key', async () => {
  expect((await readKey(verifier)).origin).toBe('armshare.test/log')
  const [origin, id, ...rest] = verifier.split('+') as [string, string, ...string[]]
  const key = rest.join('+')
  await expect(readKey(`${origin}+00000000+${key}`)).rejects.toThrow('another id')
  await expect(readKey(`other+${id}+${key}`)).rejects.toThrow('another id')
  await expect(readKey(`${origin}+${id}`)).rejects.toThrow('cannot be read')
})

test.each(['', 'a\n1\n', 'log\n1\nAAAA\n\n', 'log\n01\n' + 'A'.repeat(43) + '=\n\n', 'log\nmany\n' + 'A'.repeat(43) + '=\n\n'])('%j is no head of a log', (note) => {
  expect(() => readHead(note)).toThrow(ProofError)
})

test.each([null, 12, '0x', `0x${'AB'.repeat(32)}`, 'ab'.repeat(32)])('%j is no hash', (text) => {
  expect(() => hash32(text)).toThrow(ProofError)
})
