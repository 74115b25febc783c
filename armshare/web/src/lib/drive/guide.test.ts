import { expect, test } from 'vitest'
import type { Needs } from '../account/api'
import { type Descriptor, Layout } from '../link/descriptor'
import { due, Guide } from './guide'
import type { Safety, State } from '../link/wire'

const NEEDS: Needs = { moved_m: 0.05, rest_s: 0.5, duration_s: 5, limited: 0.25 }
const PERIOD_MS = 50
const HOME = [0.3, 0, 0.4]

const array = (name: string, shape: number[]) => ({ name, shape, unit: '', doc: '' })

function robot(hands: number, grips = true) {
  const poses = Array.from({ length: hands }, (_, hand) => array(`hand${hand}_pose`, [7]))
  const observation = grips ? [...poses, array('gripper_position', [hands])] : poses
  const end_effectors = poses.map((pose) => ({ pose: pose.name, gripper_joints: grips ? { finger: [0, 1] } : {} }))
  return { descriptor: { end_effectors } as unknown as Descriptor, layout: new Layout(observation) }
}

/** Drives a robot of so many hands, one state for each period. */
function driven(hands = 1, grips = true, shown?: string[]) {
  const { descriptor, layout } = robot(hands, grips)
  const guide = new Guide(descriptor, layout, NEEDS, shown)
  let period = 0
  const see = (safety: Safety, places: number[][] = [HOME], openings: number[] = [1], count = 1) => {
    const poses = Array.from({ length: hands }, (_, hand) => [...(places[hand] ?? HOME), 0, 0, 0, 1]).flat()
    const values = Float32Array.from(grips ? [...poses, ...Array.from({ length: hands }, (_, i) => openings[i] ?? 1)] : poses)
    for (let i = 0; i < count; i++)
      guide.see({ safety, values, tHostUs: BigInt(period++ * PERIOD_MS * 1000), recording: true } as State)
  }
  return { guide, see, done: () => guide.steps.filter((each) => each.done).map((each) => each.name) }
}

test('before anything is shown the first axis is due', () => {
  const { guide } = driven()
  expect(guide.steps.map((each) => each.name)).toEqual(['move_x', 'move_y', 'move_z', 'gripper', 'let_go', 'finish'])
  expect(guide.steps.every((each) => each.share === 0 && !each.done)).toBe(true)
  expect(due(guide.steps)?.name).toBe('move_x')
})

test.each([0, 1, 2])('axis %i is done once the hand came as far along it as the hub wants', (axis) => {
  const { see, done } = driven()
  see('driving')
  see('driving', [HOME.map((at, i) => at + (i === axis ? 0.049 : 0))])
  expect(done()).toEqual([])
  see('driving', [HOME.map((at, i) => at - (i === axis ? 0.002 : 0))])
  expect(done()).toEqual([['move_x', 'move_y', 'move_z'][axis]])
})

const along = (axis: number, m: number) => HOME.map((at, i) => at + (i === axis ? m : 0))

test.each([0, 1, 2])('axis %i is done once the hand has also come half of the way back', (axis) => {
  const { guide, see, done } = driven()
  for (const m of [0, 0.03, 0.06]) see('driving', [along(axis, m)])
  expect(done()).toEqual([])
  expect(guide.steps[axis]?.share).toBe(0.5)
  see('driving', [along(axis, 0.2)])
  see('driving', [along(axis, 0.11)])
  expect(done(), 'the farther away, the longer the way back').toEqual([])
  see('driving', [along(axis, 0.099)])
  expect(done()).toEqual([['move_x', 'move_y', 'move_z'][axis]])
  see('driving', [along(axis, 0.6)])
  expect(done(), 'what was shown stays shown').toEqual([['move_x', 'move_y', 'move_z'][axis]])
})

test('a hand that trembles shows nothing', () => {
  const { guide, see } = driven()
  for (const m of [0, 0.001, -0.001, 0.001]) see('driving', [along(0, m)])
  expect(guide.steps[0]?.share).toBeLessThan(0.1)
})

test('what earlier drives have shown counts from the start, whatever this one shows', () => {
  const { guide, see, done } = driven(1, true, ['move_x', 'let_go', 'duration'])
  expect(done()).toEqual(['move_x', 'let_go'])
  expect(due(guide.steps)?.name).toBe('move_y')
  see('driving', [HOME])
  see('driving', [along(0, 0.03)])
  expect(guide.steps[0]).toEqual({ name: 'move_x', share: 1, done: true })
  see('driving', [along(1, 0.06)])
  see('driving', [along(1, 0)])
  expect(done()).toEqual(['move_x', 'move_y', 'let_go'])
})

test('of two hands either may show an axis, but not half each', () => {
  const { see, done } = driven(2)
  see('driving', [HOME, HOME])
  see('driving', [[0.33, 0, 0.4], [0.27, 0, 0.4]])
  expect(done()).toEqual([])
  see('driving', [HOME, [0.36, 0, 0.4]])
  see('driving', [HOME, [0.28, 0, 0.4]])
  expect(done()).toEqual(['move_x'])
})

test('a gripper is closed and then opened again', () => {
  const { guide, see, done } = driven()
  see('driving', [HOME], [1])
  see('driving', [HOME], [0.3])
  expect(guide.steps[3]?.share).toBe(0.5)
  see('driving', [HOME], [0.5])
  expect(done()).toEqual([])
  see('driving', [HOME], [0.7])
  expect(done()).toEqual(['gripper'])
})

test('a gripper that begins closed must be closed after it was opened', () => {
  const { see, done } = driven()
  for (const opening of [0, 1]) see('driving', [HOME], [opening])
  expect(done()).toEqual([])
  for (const opening of [0, 1]) see('driving', [HOME], [opening])
  expect(done()).toEqual(['gripper'])
})

test('a robot without a gripper is not asked for one', () => {
  expect(driven(1, false).guide.steps.map((each) => each.name)).not.toContain('gripper')
})

test('a rest of half a second counts once the drive goes on', () => {
  const { see, done, guide } = driven()
  see('holding', [HOME], [1], 30)
  see('driving')
  expect(done(), 'before the first driven step there is nothing to let go of').toEqual([])
  see('holding', [HOME], [1], 10)
  see('driving')
  expect(done(), 'nine periods are 0.45 s').toEqual([])
  see('holding', [HOME], [1], 11)
  expect(guide.steps[4]).toEqual({ name: 'let_go', share: 0.9, done: false })
  see('driving')
  expect(done()).toEqual(['let_go'])
})

test('a drive that expires is no rest', () => {
  const { see, done } = driven()
  see('driving')
  see('expired', [HOME], [1], 30)
  see('armed', [HOME], [1], 3)
  see('driving')
  expect(done()).toEqual([])
})

test('finishing is what is left, and its bar is the time that a drive must take', () => {
  const { guide, see } = driven(1, false)
  see('driving', [HOME])
  see('driving', [HOME.map((at) => at + 0.1)])
  see('holding', [HOME], [1], 11)
  see('driving')
  expect(due(guide.steps)?.name).toBe('finish')
  expect(guide.steps.at(-1)?.share).toBeCloseTo(0.13)
  see('driving', [HOME], [1], 100)
  expect(guide.steps.at(-1)).toEqual({ name: 'finish', share: 1, done: false })
})
