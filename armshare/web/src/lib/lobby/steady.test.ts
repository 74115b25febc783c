import { expect, test } from 'vitest'
import { places, steady } from './steady'

type Robot = { robot: string; busy: boolean }
const freeFirst = (a: Robot, b: Robot) => Number(a.busy) - Number(b.busy) || a.robot.localeCompare(b.robot)
const robots = (...busy: string[]) => ['a', 'b', 'c'].map((robot) => ({ robot, busy: busy.includes(robot) }))
const names = (sorted: Robot[]) => sorted.map(({ robot }) => robot).join('')

test('at first the best come first', () => {
  expect(names(steady([], robots('a'), freeFirst))).toBe('bca')
})

test('a card stays where it is, whatever becomes of its robot and in whatever order the hub tells', () => {
  const seen = steady([], robots('a'), freeFirst)
  const kept = places([], seen)
  expect(names(steady(kept, robots('b', 'c').toReversed(), freeFirst))).toBe('bca')
})

test('a robot that is new comes last, and one that comes back gets its place', () => {
  let kept = places([], steady([], robots(), freeFirst))
  const without = robots().slice(1)
  kept = places(kept, steady(kept, without, freeFirst))
  const more = [{ robot: 'Z', busy: false }, ...robots()]
  expect(names(steady(kept, more, freeFirst))).toBe('abcZ')
})
