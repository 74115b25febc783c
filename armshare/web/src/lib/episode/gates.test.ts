import { expect, test } from 'vitest'
import gates from '../../../../../recorder/proof/gates.py?raw'
import type { Episode } from '../account/api'
import { GATES, gatesOf, refusedBy, SEAL_GATES } from './gates'

const episode = (said: Partial<Episode>) => ({ state: 'verified', reason: 'finished', trust: 'replayed', size: 1000, ...said }) as Episode
const standing = (said: Partial<Episode>, known = { format: 2, cameras: 1 }) => Object.fromEntries(gatesOf(episode(said), known).map(({ name, stand }) => [name, stand]))

test('the page has every gate of the hub, in its order, by the name that it refuses with', () => {
  const found = [...gates.matchAll(/^ {4}Gate\("(\w+)", no\.(\w+),/gm)].map(([, name, refuses]) => [name, refuses])
  expect(found.length).toBeGreaterThan(20)
  expect(GATES.map(({ name, refuses }) => [name, refuses[0]])).toEqual(found)
})

test('the page knows which gates there are before there is a file', () => {
  const [, listed] = /^SEAL_GATES: Final = \((.*)\)$/m.exec(gates) ?? []
  expect([...(listed ?? '').matchAll(/"(\w+)"/g)].map(([, name]) => name)).toEqual(SEAL_GATES)
})

test('a verified simulation passed every gate but those that its reader checks', () => {
  const said = standing({})
  expect(Object.entries(said).filter(([, stand]) => stand !== 'passed')).toEqual([['receipt', 'yours'], ['inclusion', 'yours']])
})

test('what does not apply is not called passed', () => {
  expect(standing({ trust: 'witnessed' })['replay']).toBe('not needed')
  expect(standing({}, { format: 2, cameras: 0 })['pictures']).toBe('not needed')
  expect(standing({}, { format: 1, cameras: 0 })).toMatchObject({ commands: 'not needed', safety: 'not needed' })
})

test('a rejected episode passed those before the gate that refused it, and none after', () => {
  const said = gatesOf(episode({ state: 'rejected', reason: 'TimeMismatch: expected the hub, got the host' }), null).map(({ stand }) => stand)
  const at = GATES.findIndex(({ name }) => name === 'time')
  expect(said.slice(0, at)).toEqual(GATES.slice(0, at).map(() => 'passed'))
  expect(said[at]).toBe('refused')
  expect(new Set(said.slice(at + 1))).toEqual(new Set(['not reached']))
})

test('of one that was refused as it came, only the gates before there is a file are told', () => {
  const said = gatesOf(episode({ state: 'rejected', size: null, trust: null, reason: 'NonceMismatch: expected another' }), null)
  expect(said.map(({ name }) => name)).toEqual(GATES.map(({ name }) => name).filter((name) => SEAL_GATES.includes(name)))
  expect(said.find(({ name }) => name === 'nonce')?.stand).toBe('refused')
})

test('a gate that nobody knows here refused it: nothing is called passed', () => {
  const said = new Set(Object.values(standing({ state: 'rejected', reason: 'SomethingNew: no' })))
  expect(said).toEqual(new Set(['not reached']))
  expect(refusedBy('finished')).toBeNull()
  expect(refusedBy(null)).toBeNull()
})

test('each gate is told as people speak', () => {
  for (const { title, rules_out } of GATES) {
    expect(title).toMatch(/^[A-Z][^.]*$/)
    expect(rules_out).toMatch(/^[A-Z].*\.$/)
    expect(`${title} ${rules_out}`).not.toMatch(/[a-z]_[a-z]|[a-z][A-Z]/)
  }
})
