import { afterEach, expect, test } from 'vitest'
import type { Kept } from './kept'
import type { Phase, View } from '../drive/session'
import { type Elsewhere, hereOf, Windows } from './windows'

const FOUND: Elsewhere = { doing: 'driving', drive: { lease: 'L1', robot: '0xR', operator: '0xA' } as Kept }
const ends: (() => void)[] = []

afterEach(() => ends.splice(0).forEach((end) => end()))

/** A window that has what it says; each test has a browser of its own. */
function window(browser: string, robot: string, operator: string, found: Elsewhere | null = FOUND) {
  const end = new Windows(browser).answer((...asked) => (asked.join() === [robot, operator].join() ? found : null))
  ends.push(end)
  return end
}

test('the window that drives a robot with this wallet says so, and how the drive is taken over', async () => {
  window('b1', '0xS', '0xA')
  window('b1', '0xR', '0xB')
  window('b1', '0xR', '0xA')
  expect(await new Windows('b1').ask('0xR', '0xA')).toEqual(FOUND)
})

test.each([
  ['live', 'driving'],
  ['queued', 'waiting'],
  ['granted', 'holding'],
  ['ended', 'holding'],
  ['welcomed', undefined],
  ['closed', undefined],
] as [Phase, Elsewhere['doing'] | undefined][])('a window that is %s says that it is %s, and only what is driven can be taken over', (phase, doing) => {
  const here = hereOf({ phase } as View, () => FOUND.drive)
  expect(here?.doing).toBe(doing)
  expect(here?.drive?.lease).toBe(doing === 'driving' ? 'L1' : undefined)
})

test('nobody answers for another robot, for another wallet, or for a window that is gone', async () => {
  const end = window('b2', '0xR', '0xA')
  expect(await new Windows('b2').ask('0xS', '0xA')).toBeNull()
  expect(await new Windows('b2').ask('0xR', '0xB')).toBeNull()
  end()
  expect(await new Windows('b2').ask('0xR', '0xA')).toBeNull()
})

test('two windows that ask at once are each answered', async () => {
  window('b3', '0xR', '0xA', { doing: 'waiting', drive: null })
  window('b3', '0xS', '0xA')
  const asking = new Windows('b3')
  const found = await Promise.all(['0xR', '0xS'].map((robot) => asking.ask(robot, '0xA')))
  expect(found.map((each) => each?.doing)).toEqual(['waiting', 'driving'])
})
