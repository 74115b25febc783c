import { expect, test } from 'vitest'
import type { Robot } from '../account/api'
import { storage } from '../storage.testing'
import { type Kept, KeptDrives } from './kept'
import { standingOf } from './standing'
import type { Elsewhere } from './windows'

const ROBOT = { robot: '0xR', driver: null, kept_s: null, queue_length: 0 } as Robot
const MINE = { ...ROBOT, driver: '0xA' }
const DRIVE = { lease: 'L1', robot: '0xR', task: 'lift', operator: '0xA', nonce: '0x01', sessionKey: '0xS', seconds: 3 }
const DRIVING: Elsewhere = { doing: 'driving', drive: DRIVE as Kept }

/** What is known in a browser, as a test wants it; it tells how often the windows and the hub were asked. */
function known(change: { window?: Elsewhere | null; later?: Robot | null; noted?: boolean; thisTab?: boolean } = {}) {
  const [browser, tab] = [storage(), storage()]
  if (change.noted) new KeptDrives(browser, tab).keep(DRIVE)
  const asked: string[] = []
  return {
    asked,
    drives: new KeptDrives(browser, change.thisTab ? tab : storage()),
    windows: { ask: async (robot: string) => (asked.push(`windows of ${robot}`), change.window ?? null) },
    look: async () => (asked.push('hub'), change.later ?? null),
    pause: async (ms: number) => void asked.push(`pause of ${ms}`),
  }
}

test.each([ROBOT, { ...ROBOT, driver: '0xB' }])('nobody is asked about a robot that is free, or driven while nobody waits', async (robot) => {
  const of = known({ window: DRIVING })
  expect(await standingOf(robot, '0xA', of)).toEqual({ is: 'new' })
  expect(of.asked).toEqual([])
})

test('who drives it in another window is told so, although this tab may have driven it before', async () => {
  const of = known({ window: DRIVING, noted: true, thisTab: true })
  expect(await standingOf(MINE, '0xA', of)).toEqual({ is: 'elsewhere', found: DRIVING })
})

test('who waits for it in another window is told so', async () => {
  const waiting: Elsewhere = { doing: 'waiting', drive: null }
  expect(await standingOf({ ...ROBOT, driver: '0xB', queue_length: 1 }, '0xA', known({ window: waiting }))).toEqual({ is: 'elsewhere', found: waiting })
  expect(await standingOf({ ...ROBOT, driver: '0xB', queue_length: 1 }, '0xA', known())).toEqual({ is: 'new' })
})

test('a drive that this tab left, or that the hub keeps, can be gone on with', async () => {
  expect(await standingOf(MINE, '0xA', known({ noted: true, thisTab: true }))).toMatchObject({ is: 'left', kept: DRIVE })
  const of = known({ window: DRIVING, noted: true })
  expect(await standingOf({ ...MINE, kept_s: 50 }, '0xA', of)).toMatchObject({ is: 'left', kept: DRIVE })
  expect(of.asked, 'nobody drives it').toEqual([])
})

test('what the hub keeps and this browser does not know is not gone on with here', async () => {
  expect(await standingOf({ ...MINE, kept_s: 50 }, '0xA', known())).toEqual({ is: 'new' })
})

test('a page that has just gone is no other window: the hub is asked once more', async () => {
  for (const later of [ROBOT, { ...ROBOT, driver: '0xB' }, null]) {
    const of = known({ later })
    expect(await standingOf(MINE, '0xA', of)).toEqual({ is: 'new' })
    expect(of.asked).toEqual(['windows of 0xR', 'pause of 1000', 'hub'])
  }
  const closed = known({ noted: true, later: { ...MINE, kept_s: 59 } })
  expect(await standingOf(MINE, '0xA', closed)).toMatchObject({ is: 'left', kept: DRIVE })
})

test('who drives it somewhere else is told so, after the hub had time to notice that a page is gone', async () => {
  const of = known({ later: MINE })
  expect(await standingOf(MINE, '0xA', of)).toEqual({ is: 'elsewhere', found: null })
  expect(of.asked.filter((one) => one === 'hub')).toHaveLength(5)
})
