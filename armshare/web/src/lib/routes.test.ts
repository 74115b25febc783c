import { expect, test } from 'vitest'
import { driveHref, MENU, parse, type Route, watchHref } from './routes'

const GOOD: [string, Route][] = [
  ['', { page: 'lobby' }],
  ['#', { page: 'lobby' }],
  ['#/', { page: 'lobby' }],
  ['#//', { page: 'lobby' }],
  ['#/rules', { page: 'rules' }],
  ['#/watch/panda-1', { page: 'watch', robot: 'panda-1' }],
  ['#/watch/panda-1/', { page: 'watch', robot: 'panda-1' }],
  ['#/drive/panda-1/lift', { page: 'drive', robot: 'panda-1', task: 'lift' }],
  ['#/episode/20260101-abc', { page: 'episode', episode: '20260101-abc' }],
  ['#/drive/my%20arm/pick_place', { page: 'drive', robot: 'my arm', task: 'pick_place' }],
]

test.each(GOOD)('the address %s names its page', (hash, route) => {
  expect(parse(hash)).toEqual(route)
})

test.each([
  '#/nothing',
  '#/lobby/more',
  '#/rules/more',
  '#/watch',
  '#/watch/',
  '#/watch/panda-1/lift',
  '#/episode',
  '#/episode/a/b',
  '#/drive',
  '#/drive/panda-1',
  '#/drive//lift',
  '#/drive/panda-1/lift/more',
  '#/drive/%E0%A4%A/lift',
  '#%',
  '#nothing',
])('the address %s is said to be unknown, and throws nothing', (hash) => {
  expect(parse(hash)).toEqual({ page: 'unknown', address: hash.slice(1) })
})

test.each(['panda-1', 'my arm', 'a/b', '100%', 'Ä#?'])('a link to the robot %s leads to it, whatever it is called', (robot) => {
  expect(parse(driveHref(robot, 'lift'))).toEqual({ page: 'drive', robot, task: 'lift' })
  expect(parse(watchHref(robot))).toEqual({ page: 'watch', robot })
})

test('every entry of the menu leads to its page', () => {
  for (const { page, href } of MENU) expect(parse(href).page).toBe(page)
})
