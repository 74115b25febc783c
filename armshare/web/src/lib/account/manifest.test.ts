import { expect, test } from 'vitest'
import { ManifestError, readManifest, statement, type Ours } from './manifest'

const OURS: Ours = { episode: 'e1', operator: '0xO', sessionKey: '0xS', robot: '0xR', task: 'lift' }
const MANIFEST = {
  episode: 'e1',
  robot: { address: '0xR' },
  operator: { address: '0xO', session_key: '0xS' },
  task: { name: 'lift', version: 1 },
  content_root: `0x${'be'.repeat(32)}`,
  started_ms: '1800000000123',
  ended_ms: '9007199254740993',
  previous: `0x${'00'.repeat(32)}`,
}
const bytes = (value: unknown) => new TextEncoder().encode(JSON.stringify(value))

test('the statement is the hash of the exact bytes, and what they say', () => {
  const data = bytes(MANIFEST)
  expect(statement(data, readManifest(data, OURS))).toMatchObject({
    episodeId: 'e1',
    startedMs: 1800000000123n,
    endedMs: 9007199254740993n,
    previous: MANIFEST.previous,
  })
  const spaced = new TextEncoder().encode(JSON.stringify(MANIFEST, null, 1))
  expect(statement(spaced, readManifest(spaced, OURS)).manifestSha256).not.toBe(
    statement(data, readManifest(data, OURS)).manifestSha256,
  )
})

test.each([
  ['another episode', { episode: 'e2' }],
  ["another operator's", { operator: { address: '0xX', session_key: '0xS' } }],
  ["another session's", { operator: { address: '0xO', session_key: '0xX' } }],
  ["another robot's", { robot: { address: '0xX' } }],
  ['another task', { task: { name: 'push' } }],
  ['no operator', { operator: null }],
  ['a root that is not one', { content_root: '0x12' }],
  ['a previous that is not one', { previous: null }],
  ['a time that is a number', { ended_ms: 1800000000123 }],
])('a manifest of %s is never signed', (_, change) => {
  expect(() => readManifest(bytes({ ...MANIFEST, ...change }), OURS)).toThrow(ManifestError)
})

test('a manifest that is not JSON, or not UTF-8, is never signed', () => {
  expect(() => readManifest(new TextEncoder().encode('{'), OURS)).toThrow(ManifestError)
  expect(() => readManifest(Uint8Array.of(0xff, 0xfe), OURS)).toThrow(ManifestError)
})
