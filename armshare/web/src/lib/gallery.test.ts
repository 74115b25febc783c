import { expect, test } from 'vitest'
import { pictureOf } from './gallery'

test('a simulated robot is shown at the task that is asked for', () => {
  expect(pictureOf({ model: 'panda', simulated: true }, 'lift')).toMatch(/lift-panda.*\.jpg$/)
  expect(pictureOf({ model: 'panda', simulated: true }, 'pick_place')).toMatch(/pick_place-panda.*\.jpg$/)
  expect(pictureOf({ model: 'dual_panda', simulated: true }, 'handover')).toMatch(/handover-dual_panda.*\.jpg$/)
})

test('a real robot, an unknown one and an unknown task have no picture', () => {
  expect(pictureOf({ model: 'panda', simulated: false }, 'lift')).toBeNull()
  expect(pictureOf({ model: 'all', simulated: true }, 'lift')).toBeNull()
  expect(pictureOf({ model: 'panda', simulated: true }, 'juggle')).toBeNull()
})
