import { expect, test } from 'vitest'
import { datasetHref, dataHref, driveHref, MENU, parse, type Route, setsHref, watchHref } from './routes'

const GOOD: [string, Route][] = [
  ['', { page: 'lobby' }],
  ['#', { page: 'lobby' }],
  ['#/', { page: 'lobby' }],
  ['#//', { page: 'lobby' }],
  ['#/rules', { page: 'rules' }],
  ['#/review', { page: 'review' }],
  ['#/watch/panda-1', { page: 'watch', robot: 'panda-1' }],
  ['#/watch/panda-1/', { page: 'watch', robot: 'panda-1' }],
  ['#/drive/panda-1/lift', { page: 'drive', robot: 'panda-1', task: 'lift' }],
  ['#/episode/20260101-abc', { page: 'episode', episode: '20260101-abc' }],
  ['#/data', { page: 'data', query: '' }],
  ['#/data/', { page: 'data', query: '' }],
  ['#/data?task=lift&score_min=0.8', { page: 'data', query: 'task=lift&score_min=0.8' }],
  ['#/data?dataset=lab/lift@2', { page: 'data', query: 'dataset=lab/lift@2' }],
  ['#/data/sets?query=lift', { page: 'sets', query: 'query=lift' }],
  ['#/data/lab/lift', { page: 'dataset', name: 'lab/lift', version: null }],
  ['#/data/lab/lift/3', { page: 'dataset', name: 'lab/lift', version: 3 }],
  ['#/drive/my%20arm/pick_place', { page: 'drive', robot: 'my arm', task: 'pick_place' }],
]

test.each(GOOD)('the address %s names its page', (hash, route) => {
  expect(parse(hash)).toEqual(route)
})

test.each([
  '#/nothing',
  '#/database',
  '#/data/lab',
  '#/data/lab/lift/0',
  '#/data/lab/lift/new',
  '#/data/lab/lift/1/more',
  '#/data/%E0%A4%A/lift',
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
  for (const { pages, href } of MENU) expect(pages).toContain(parse(href).page)
})

test('links to data lead to their pages', () => {
  expect(parse(dataHref('order=best'))).toEqual({ page: 'data', query: 'order=best' })
  expect(parse(dataHref())).toEqual({ page: 'data', query: '' })
  expect(parse(setsHref('task=lift'))).toEqual({ page: 'sets', query: 'task=lift' })
  expect(parse(datasetHref('lab/lift', 2))).toEqual({ page: 'dataset', name: 'lab/lift', version: 2 })
})
