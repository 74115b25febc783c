import { expect, test } from 'vitest'
import { filmOf } from './films'

const TASKS = ['reach', 'lift', 'push', 'pick_place', 'stack', 'drawer', 'peg', 'pour', 'sort']

test('every task has a film, of the robot that it was made for', () => {
  for (const task of TASKS) expect(filmOf({ model: 'panda', simulated: true }, task)).toMatch(new RegExp(`${task}-panda`))
  expect(filmOf({ model: 'dual_panda', simulated: true }, 'handover')).toMatch(/handover-dual_panda/)
  expect(filmOf({ model: 'husky', simulated: true }, 'fetch')).toMatch(/fetch-husky/)
})

test('a real robot, an unknown one and an unknown task have no film', () => {
  expect(filmOf({ model: 'panda', simulated: false }, 'lift')).toBeNull()
  expect(filmOf({ model: 'toaster', simulated: true }, 'lift')).toBeNull()
  expect(filmOf({ model: 'panda', simulated: true }, 'juggle')).toBeNull()
})
