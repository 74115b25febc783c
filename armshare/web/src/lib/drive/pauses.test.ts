import { expect, test } from 'vitest'
import { type Descriptor, Layout } from '../link/descriptor'
import type { Frame } from '../view/replay.svelte'
import { idleOf, longestOf } from './pauses'

const array = (name: string, shape: number[]) => ({ name, shape, unit: '', doc: '' })
const layout = new Layout([array('ee_pose', [7]), array('joint_position', [2]), array('gripper_position', [1])])
const descriptor = { end_effectors: [{ pose: 'ee_pose' }] } as unknown as Descriptor

/** What is done, and for how long, one after another; `hz` is the robot's rate. */
function episode(parts: ['move' | 'turn' | 'grip' | 'rest', seconds: number, succeeded?: boolean][], hz = 20): Frame[] {
  const [frames, at]: [Frame[], number[]] = [[], [0, 0, 0]]
  let atMs = 70_000
  for (const [what, seconds, succeeded = false] of parts)
    for (let k = 0; k < seconds * hz; k++) {
      const speeds = { move: [0.1, 0, 0], turn: [0, 0.3, 0], grip: [0, 0, 0.5], rest: [0, 0, 0] }[what]
      speeds.forEach((speed, i) => (at[i] = (at[i] ?? 0) + speed / hz))
      const [x = 0, joint = 0, opening = 0] = at
      frames.push({ atMs: (atMs += 1000 / hz), values: Float32Array.of(x, 0, 0, 0, 0, 0, 1, joint, 0, opening), succeeded, progress: null })
    }
  return frames
}

const told = (frames: Frame[]) => idleOf(frames, descriptor, layout)

test.each([20, 50])('a pause is told with its moment, at %i Hz', (hz) => {
  const { pauses } = told(episode([['move', 3], ['rest', 4], ['move', 2]], hz))
  expect(pauses).toHaveLength(1)
  expect(pauses[0]?.atS).toBeCloseTo(3, 0)
  expect(pauses[0]?.lengthS).toBeCloseTo(4, 0)
})

test.each(['turn', 'grip'] as const)('to %s is no pause', (what) => {
  expect(told(episode([['move', 1], [what, 4], ['move', 1]])).pauses).toEqual([])
})

test('a short rest is no pause', () => {
  expect(told(episode([['move', 2], ['rest', 0.7], ['move', 2]])).pauses).toEqual([])
})

test('the time after the task was done is no pause, and is told apart', () => {
  const { pauses, doneS, afterS } = told(episode([['move', 2], ['rest', 0.6], ['rest', 5, true]]))
  expect(pauses).toEqual([])
  expect(doneS).toBeCloseTo(2.6, 1)
  expect(afterS).toBeCloseTo(4.95, 1)
})

test('a task that was done and undone again was not done', () => {
  const { pauses, doneS, afterS } = told(episode([['move', 1], ['rest', 2, true], ['move', 1], ['rest', 2]]))
  expect([doneS, afterS]).toEqual([null, 0])
  expect(pauses).toHaveLength(2)
})

test('the longest of several is found', () => {
  const { pauses } = told(episode([['rest', 2], ['move', 1], ['rest', 5], ['move', 1]]))
  expect(pauses).toHaveLength(2)
  expect(longestOf(pauses)?.atS).toBeCloseTo(3, 0)
})

test('of nothing, and of a single state, there is nothing to tell', () => {
  expect(told([])).toEqual({ pauses: [], doneS: null, afterS: 0 })
  expect(told(episode([['move', 0.05]]))).toEqual({ pauses: [], doneS: null, afterS: 0 })
})
