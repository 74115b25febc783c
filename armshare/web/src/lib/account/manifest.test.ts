import { expect, test } from 'vitest'
import { ManifestError, readManifest, statement, type Ours } from './manifest'

const OURS: Ours = { episode: 'e1', operator: '0xO', sessionKey: '0xS', robot: '0xR', task: 'lift' }
const COMMANDS = [{ epoch: 7, seq: 40, sha256: 'ab'.repeat(32) }, { epoch: 9, seq: 3, sha256: 'cd'.repeat(32) }]
const MANIFEST = {
  version: 2,
  episode: 'e1',
  robot: { address: '0xR' },
  operator: { address: '0xO', session_key: '0xS' },
  task: { name: 'lift', version: 1 },
  content_root: `0x${'be'.repeat(32)}`,
  started_ms: '1800000000123',
  ended_ms: '9007199254740993',
  previous: `0x${'00'.repeat(32)}`,
  commands: COMMANDS,
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
  ['a version that this page does not know', { version: 3 }],
  ['a version that is none', { version: '2' }],
  ['version 1, with commands', { version: 1 }],
  ['version 2, without commands', { commands: undefined }],
  ['no command', { commands: [] }],
  ['commands that are no list', { commands: { 0: COMMANDS[0], length: 1 } }],
  ['a command that is none', { commands: [null] }],
  ['a command twice', { commands: [COMMANDS[0], COMMANDS[0]] }],
  ['commands in another order', { commands: [COMMANDS[0], { ...COMMANDS[0], seq: 39 }] }],
  ['epochs in another order', { commands: COMMANDS.toReversed() }],
  ['a command without a number', { commands: [{ ...COMMANDS[0], seq: 0 }] }],
  ['a number in words', { commands: [{ ...COMMANDS[0], seq: '40' }] }],
  ['a hash in capitals', { commands: [{ ...COMMANDS[0], sha256: 'AB'.repeat(32) }] }],
  ['a hash that is too short', { commands: [{ ...COMMANDS[0], sha256: 'ab' }] }],
])('a manifest of %s is never signed', (_, change) => {
  expect(() => readManifest(bytes({ ...MANIFEST, ...change }), OURS)).toThrow(ManifestError)
})

test('the commands of a manifest are read, and version 1 has none', () => {
  expect(readManifest(bytes(MANIFEST), OURS).commands).toEqual(COMMANDS)
  const { commands: _, ...old } = MANIFEST
  expect(readManifest(bytes({ ...old, version: 1 }), OURS).commands).toBeUndefined()
})

test.each([
  ['a program', { kind: 'script', name: 'x.py', sha256: '5'.repeat(64) }],
  ['nobody', undefined],
  ['a person with a name', { kind: 'person', name: 'Ada', sha256: '' }],
])('what a person drove is not signed as driven by %s', (_, driver) => {
  const person = { kind: 'person', name: '', sha256: '' } as const
  expect(readManifest(bytes({ ...MANIFEST, driver: person }), { ...OURS, driver: person }).driver).toEqual(person)
  expect(() => readManifest(bytes({ ...MANIFEST, driver }), { ...OURS, driver: person })).toThrow(ManifestError)
})

test('a manifest that is not JSON, or not UTF-8, is never signed', () => {
  expect(() => readManifest(new TextEncoder().encode('{'), OURS)).toThrow(ManifestError)
  expect(() => readManifest(Uint8Array.of(0xff, 0xfe), OURS)).toThrow(ManifestError)
})
