import { expect, test } from 'vitest'
import { pictureOf } from './gallery'

const robot = (model: string, simulated: boolean, ...tasks: string[]) => ({
  model,
  simulated,
  tasks: tasks.map((name) => ({ name, instruction: '', max_steps: 1, price: '0' })),
})

test('a simulated robot is shown at its first task that has a picture', () => {
  expect(pictureOf(robot('panda', true, 'lift'))).toMatch(/lift-panda.*\.jpg$/)
  expect(pictureOf(robot('dual_panda', true, 'handover'))).toMatch(/handover-dual_panda.*\.jpg$/)
  expect(pictureOf(robot('panda', true, 'juggle', 'pick_place', 'lift'))).toMatch(/pick_place-panda.*\.jpg$/)
})

test('a real robot, an unknown one and one without a task have no picture', () => {
  expect(pictureOf(robot('panda', false, 'lift'))).toBeNull()
  expect(pictureOf(robot('all', true, 'lift'))).toBeNull()
  expect(pictureOf(robot('panda', true))).toBeNull()
})
