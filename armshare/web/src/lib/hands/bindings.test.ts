import { expect, test } from 'vitest'
import { type Action, actionFor, actionOf, ACTIONS, changesOf, GAMEPAD, isOrder, KEYS, labelOf, motionOf, rebound, withChanges } from './bindings'

test.each([
  ['keys', KEYS],
  ['a gamepad', GAMEPAD],
])('no control of %s does two things', (_, bound) => {
  const all = Object.values(bound).flat()
  expect(new Set(all).size).toBe(all.length)
})

test('every motion and the gripper are on the keyboard and on a gamepad', () => {
  for (const action of Object.keys(ACTIONS) as Action[])
    if (motionOf(action) || action === 'gripper') expect([KEYS[action].length, GAMEPAD[action].length]).not.toContain(0)
})

test('a control that is given to another action is taken from the first', () => {
  const bound = rebound(KEYS, 'z+', 'KeyW')
  expect(actionOf(bound, 'KeyW')).toBe('z+')
  expect(bound['x+']).toEqual([])
  expect(bound['z+']).toEqual(['KeyW'])
})

test('nothing takes the stop key away', () => {
  expect(rebound(KEYS, 'x+', 'Escape')).toBe(KEYS)
  expect(rebound(KEYS, 'estop', 'KeyP').estop).toEqual(['Escape', 'KeyP'])
  expect(rebound(GAMEPAD, 'estop', 'b6').estop).toEqual(['b6'])
})

test('what was chosen comes back, and the rest are the defaults', () => {
  const bound = rebound(KEYS, 'x+', 'KeyI')
  expect(changesOf(bound, KEYS)).toEqual({ 'x+': ['KeyI'] })
  expect(withChanges(KEYS, JSON.parse(JSON.stringify(changesOf(bound, KEYS))))).toEqual(bound)
})

test.each([null, 7, [], { 'x+': 'KeyW' }, { 'x+': [1] }, { surprise: ['KeyW'] }])('%j as what was kept is the defaults', (kept) => {
  expect(withChanges(KEYS, kept)).toEqual(KEYS)
})

test('orders are what is pressed once', () => {
  const orders = (Object.keys(ACTIONS) as Action[]).filter(isOrder)
  expect(orders).toEqual(['gripper', 'part1', 'part2', 'part3', 'next', 'finish', 'view', 'cameras', 'note', 'help', 'controls', 'estop'])
})

test('a label is what stands on the key', () => {
  expect(labelOf('KeyW')).toBe('W')
  expect(labelOf('KeyW', new Map([['KeyW', 'z']]))).toBe('Z')
  expect(labelOf('Digit1')).toBe('1')
  expect(labelOf('b7')).toBe('RT')
  expect(labelOf('a3-')).toBe('right stick ↑')
})

test('`?` opens the help on every keyboard, unless its key was given to another action', () => {
  for (const code of ['Slash', 'Minus']) expect(actionFor(KEYS, { code, key: '?' })).toBe('help')
  expect(actionFor(KEYS, { code: 'KeyH', key: 'h' })).toBe('help')
  expect(actionFor(KEYS, { code: 'Slash', key: '/' })).toBeUndefined()
  expect(actionFor(rebound(KEYS, 'x+', 'Slash'), { code: 'Slash', key: '?' })).toBe('x+')
})
