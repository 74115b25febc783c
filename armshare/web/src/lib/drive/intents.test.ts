import { expect, test, vi } from 'vitest'
import type { Why } from '../hands/ways'
import type { ToLink } from '../link/link'
import type { State } from '../link/wire'
import type { Sight } from './sight.svelte'

vi.stubGlobal('localStorage', { getItem: () => null })
vi.stubGlobal('navigator', {})
const { Intents } = await import('./intents.svelte')

const DESCRIPTOR = { base: null, end_effectors: [{}, {}] }

function intents(visit = { holding: true, drivable: true }) {
  const told: ToLink[] = []
  const sight = { openings: [0.9, 0.1], parts: ['left', 'right'], robot: { descriptor: DESCRIPTOR }, heardMs: 0 }
  const of = new Intents(visit, sight as unknown as Sight, (message) => told.push(message))
  const last = () => told.filter((message) => message.type === 'intent').at(-1)
  return { of, told, last, visit, sight }
}

test('what is pressed is told, with a number, and shown', () => {
  const { of, last } = intents()
  of.input.press('KeyW')
  of.send()
  expect(last()).toMatchObject({ number: 1, intent: { deadMan: true, axes: { x: 1 } } })
  expect([...of.held]).toEqual(['KeyW'])
  expect(of.deadMan).toBe(true)
  of.letGo()
  expect(last()).toMatchObject({ number: 2, intent: { deadMan: false, axes: { x: 0 } } })
  expect([...of.held]).toEqual([])
})

test('nothing moves a robot that is held and not live', () => {
  const { of, last } = intents({ holding: true, drivable: false })
  of.input.press('KeyW')
  of.send()
  expect(last()).toMatchObject({ intent: { deadMan: false } })
})

test('nothing is told of a robot that is not held, and the keys are shown all the same', () => {
  const { of, told } = intents({ holding: false, drivable: false })
  of.input.press('KeyW')
  of.send()
  expect(told).toEqual([])
  expect([...of.held]).toEqual(['KeyW'])
})

test('the first state of an episode says how the grippers are, and only the first', () => {
  const { of, told, sight } = intents()
  of.seen()
  expect(told).toEqual([{ type: 'openings', openings: [1, 0] }])
  sight.openings = [0.1, 0.1]
  of.seen()
  expect(told).toHaveLength(1)
  of.ready()
  of.seen()
  expect(told.at(-1)).toEqual({ type: 'openings', openings: [0, 0] })
})

test('a robot that was let go of blindly is driven again only once it is seen and pressed again', () => {
  const { of, last } = intents()
  of.input.press('KeyW')
  of.unseen()
  expect(of.blind).toBe('unseen')
  expect(last()).toMatchObject({ intent: { deadMan: false } })
  of.input.press('KeyW')
  of.send()
  expect(of.blind).toBe('unseen')
  of.seen()
  expect(of.blind).toBe('seen')
  of.send()
  expect(of.blind).toBeNull()
})

test('another hand is chosen only if there is one', () => {
  const { of } = intents()
  of.choose(1)
  expect(of.part).toBe(1)
  of.choose(2)
  expect([of.part, of.input.part]).toEqual([1, 1])
})

test('why a hand does not go is told while it is sent there', () => {
  const { of, visit } = intents()
  const why: Why = { why: 'edge' }
  of.ways = new Map([['x+', why]])
  expect(of.hindrance).toBeNull()
  of.input.press('KeyW')
  of.send()
  expect(of.hindrance).toEqual(why)
  visit.drivable = false
  expect(of.hindrance).toBeNull()
})

test('who takes a robot tells the link what it is, and what is wanted of it', () => {
  const { of, told } = intents()
  of.take(9)
  expect(told.map(({ type }) => type)).toEqual(['lease', 'intent'])
  expect(told[0]).toEqual({ type: 'lease', epoch: 9, hands: 2, base: null })
})

test('from a key that goes down to the picture that answers it is measured', () => {
  const { of, told } = intents()
  const measured = vi.spyOn(performance, 'measure')
  of.input.press('KeyW')
  of.send(100)
  of.sent(1, 5)
  of.shown({ seq: 40, applied: 4 } as State, () => 0)
  expect(measured).not.toHaveBeenCalled()
  of.shown({ seq: 41, applied: 5 } as State, () => 130)
  expect(measured).toHaveBeenCalledTimes(1)
  expect(measured.mock.calls[0]?.[1]).toMatchObject({ start: 100, end: 130, detail: { state: 41 } })
  expect(told.filter(({ type }) => type === 'shown')).toEqual([{ type: 'shown', seq: 40 }, { type: 'shown', seq: 41 }])
  measured.mockRestore()
})
