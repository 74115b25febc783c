import { expect, test } from 'vitest'
import type { ReplayAnswer } from '../account/api'
import { Layout } from '../link/descriptor'
import { framesOf } from './rows'

const array = (name: string, shape: number[]) => ({ name, shape, unit: '', doc: '' })
const layout = new Layout([array('cube_pose', [2]), array('joint_position', [1]), array('commanded_joint_position', [1])])
const ANSWER: ReplayAnswer = {
  arrays: [{ name: 'joint_position', size: 1 }, { name: 'cube_pose', size: 2 }],
  width: 3, t_s: [0, 0.5], progress: [0, 1], stages: [], rows: Float32Array.of(1, 2, 3, 4, 5, 6),
}

test('rows become states in the order of the robot that is drawn, its targets where it was', () => {
  const frames = framesOf(ANSWER, layout)
  expect(frames?.map(({ values }) => [...values])).toEqual([[2, 3, 1, 1], [5, 6, 4, 4]])
  expect(frames?.map(({ atMs, progress }) => [atMs, progress])).toEqual([[0, 0], [500, 1]])
})

test.each([[[array('joint_position', [7])]], [[array('joint_position', [1]), array('drawer_pose', [7])]]])('what is laid out otherwise is not drawn: %o', (observation) => {
  expect(framesOf(ANSWER, new Layout(observation))).toBeNull()
})
