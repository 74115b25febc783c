import { expect, test } from 'vitest'
import type { Motion } from './bindings'
import { baseWaysOf, type JointAxis, type Triple, waysOf } from './ways'

const NONE: Triple = [0, 0, 0]
const UNITS: readonly Triple[] = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]

const joint = (name: string, moves: Triple, turns: Triple, end: -1 | 0 | 1 = 0): JointAxis => ({ name, moves, turns, end })
const scaled = (by: number, unit: Triple): Triple => unit.map((value) => by * value) as unknown as Triple
/** Moves by three joints and turns by three others. */
const slides = UNITS.map((unit, i) => joint(`slide${i}`, scaled(0.4, unit), NONE))
const wrist = UNITS.map((unit, i) => joint(`wrist${i}`, NONE, unit))
const at = (joints: readonly JointAxis[], name: string, end: -1 | 1) => joints.map((each) => (each.name === name ? { ...each, end } : each))
const motions = (joints: readonly JointAxis[]) => [...waysOf(joints).keys()].toSorted()

test('an arm with six joints in the middle of their ranges goes every way', () => {
  expect(motions([...slides, ...wrist])).toEqual([])
})

test('an arm without a joint for a turn lacks it both ways, and only it', () => {
  const ways = waysOf([...slides, ...wrist.slice(0, 2)])
  expect([...ways]).toEqual([
    ['yaw+', { why: 'missing' }],
    ['yaw-', { why: 'missing' }],
  ])
})

test.each([
  ['slide0', 1, 'x+'],
  ['slide0', -1, 'x-'],
  ['slide2', -1, 'z-'],
  ['wrist1', 1, 'pitch+'],
] as const)('%s at end %i holds %s back, and not the way back', (name, end, motion) => {
  const ways = waysOf(at([...slides, ...wrist], name, end))
  expect([...ways]).toEqual([[motion, { why: 'joint', joint: name }]])
})

test('a joint at its end holds nothing back that another joint does instead', () => {
  const second = joint('second', [0.4, 0, 0], NONE)
  expect(motions(at([...slides, second, ...wrist], 'slide0', 1))).toEqual([])
  const [one, both] = [at([...slides, second, ...wrist], 'slide0', 1), 'second']
  expect(motions(at(one, both, 1))).toEqual(['x+'] satisfies Motion[])
})

test('a joint that both moves and turns the hand is no turn, if the hand would not stay', () => {
  const pan = joint('pan', [0, 0.3, 0], [0, 0, 1])
  const [x, , z] = slides as [JointAxis, JointAxis, JointAxis]
  expect(motions([x, pan, z, ...wrist.slice(0, 2)])).toEqual(['yaw+', 'yaw-'])
  expect(motions([x, pan, z, ...wrist])).toEqual([])
})

test('a turn about a leaning axis counts for the direction that it mostly is', () => {
  const lean = (63 * Math.PI) / 180
  const roll = joint('wrist_roll', NONE, [Math.cos(lean), 0, -Math.sin(lean)])
  expect(motions([...slides, joint('wrist_flex', NONE, [0, 1, 0]), roll])).toEqual(['roll+', 'roll-'])
})

test.each([
  ['in the middle', [0, 0, 0], []],
  ['ahead of it the floor ends', [2.99, 0, 0], ['x+']],
  ['behind it the floor ends', [2.99, 0, Math.PI], ['x-']],
  ['it looks along the edge', [2.99, 0, Math.PI / 2], []],
  ['it has turned as far as it may', [0, 0, 12.55], ['y+', 'yaw+']],
] as const)('a base: %s', (_, at, held) => {
  expect([...baseWaysOf(at, [-3, -3, -12.56], [3, 3, 12.56]).keys()]).toEqual(held)
})
