import { expect, test } from 'vitest'
import { behindRad, type Hint, Hints } from './hints'
import { LIMIT_RULES } from '../link/wire'

const { workspace, tracking, joint_acceleration } = LIMIT_RULES

/** What is said at each 50 ms, for limits that act in turn. */
const said = (limits: readonly number[], behind = 0): (Hint | null)[] => {
  const hints = new Hints()
  return limits.map((mask, i) => hints.take(mask, behind, 1000 + 50 * i))
}
const times = (mask: number, count: number): number[] => Array.from({ length: count }, () => mask)

test('a limit is said once it has lasted 150 ms, and never before', () => {
  expect(said(times(workspace, 5))).toEqual([null, null, null, 'edge', 'edge'])
  expect(said([...times(workspace, 2), ...times(0, 10)])).toEqual(times(0, 12).map(() => null))
})

test('what was said is kept for 600 ms, though the limit is gone', () => {
  const heard = said([...times(workspace, 4), ...times(0, 16)])
  expect(heard.lastIndexOf('edge')).toBe(3 + 11)
  expect(heard.at(-1)).toBeNull()
})

test('a limit that acts in every other period is one that lasts', () => {
  expect(said([workspace, 0, workspace, 0, workspace, 0, workspace])).toContain('edge')
})

test('where several act the most telling is said, and it is said no sooner than the last one could be read', () => {
  const heard = said([...times(workspace, 6), ...times(workspace | tracking, 20)])
  expect(heard.slice(3, 15)).toEqual(times(0, 12).map(() => 'edge'))
  expect(heard.at(-1)).toBe('blocked')
})

test('what only smooths a motion is not said', () => {
  expect(said(times(joint_acceleration, 20)).every((hint) => hint === null)).toBe(true)
})

test('an arm that stays far behind its target is blocked, whatever rule acts', () => {
  expect(said(times(0, 5), 0.12).at(-1)).toBe('blocked')
  expect(said(times(0, 5), 0.05).at(-1)).toBeNull()
  expect(behindRad([0, 1, -2], [0.01, 0.9, -1.8])).toBeCloseTo(0.2)
  expect(behindRad(null, [1])).toBe(0)
})
