import { expect, test } from 'vitest'
import type { Robot } from '../account/api'
import { storage } from '../storage.testing'
import { KeptDrives, toGoOnWith, waitsFor } from './kept'

const drive = { lease: 'L1', robot: '0xR', task: 'lift', operator: '0xA', nonce: '0x01', sessionKey: '0xS', seconds: 3 }
const robot = { robot: '0xR', driver: '0xA', kept_s: 50 } as Robot

test('a drive that was written down is found by its wallet and robot, after a reload and in another tab', () => {
  const [browser, tab] = [storage(), storage()]
  new KeptDrives(browser, tab).keep(drive)
  for (const of of [tab, storage()]) {
    const found = new KeptDrives(browser, of).find('0xA', '0xR')
    expect(found).toMatchObject(drive)
  }
  const drives = new KeptDrives(browser, tab)
  expect(drives.find('0xB', '0xR')).toBeNull()
  expect(drives.find('0xA', '0xS')).toBeNull()
})

test('what it has become is written over what it was, and other drives stay', () => {
  const drives = new KeptDrives(storage(), storage())
  drives.keep(drive)
  drives.keep({ ...drive, lease: 'L2', robot: '0xS' })
  drives.keep({ ...drive, seconds: 9 })
  expect(drives.find('0xA', '0xR')?.seconds).toBe(9)
  expect(drives.find('0xA', '0xS')?.lease).toBe('L2')
  drives.forget('L1')
  expect(drives.find('0xA', '0xR')).toBeNull()
  expect(drives.find('0xA', '0xS')?.lease).toBe('L2')
})

test('it is offered while the hub keeps it, and at once in the tab that drove it', () => {
  const [browser, tab] = [storage(), storage()]
  new KeptDrives(browser, tab).keep(drive)
  const [mine, other] = [new KeptDrives(browser, tab), new KeptDrives(browser, storage())]
  expect(toGoOnWith(other, robot, '0xA')?.lease).toBe('L1')
  expect(toGoOnWith(other, { ...robot, kept_s: 0 }, '0xA')?.lease).toBe('L1')
  const driven = { ...robot, kept_s: null }
  expect(toGoOnWith(mine, driven, '0xA')?.lease).toBe('L1')
  expect(toGoOnWith(other, driven, '0xA')).toBeNull()
  for (const gone of [{ ...robot, driver: null }, { ...robot, driver: '0xB' }])
    for (const drives of [mine, other]) expect(toGoOnWith(drives, gone, '0xA')).toBeNull()
})

test('the hub alone says for whom a robot waits', () => {
  expect(waitsFor(robot, '0xA')).toBe(true)
  expect(waitsFor(robot, '0xB')).toBe(false)
  expect(waitsFor(robot, undefined)).toBe(false)
  expect(waitsFor({ driver: '0xA', kept_s: null }, '0xA')).toBe(false)
  expect(waitsFor({ driver: '0xA' }, '0xA')).toBe(false)
})

test('an old drive, and what cannot be read, are nothing', () => {
  const browser = storage()
  let nowMs = 1_000_000
  const drives = new KeptDrives(browser, storage(), () => nowMs)
  drives.keep(drive)
  nowMs += 3 * 3600 * 1000
  expect(drives.find('0xA', '0xR')).toBeNull()
  for (const broken of ['{', '{}', 'null', '[null]', '[{}]']) {
    browser.setItem('armshare.drives', broken)
    expect(drives.find('0xA', '0xR')).toBeNull()
  }
})

test('a drive that an earlier page wrote down is found, and the key in it is deleted, however old it is', () => {
  const browser = storage()
  const { nonce: _, sessionKey: __, ...old } = drive
  const secret = `0x${'5e'.repeat(32)}`
  const written = [{ ...old, key: secret, atMs: Date.now() }, { ...old, lease: 'L0', robot: '0xS', key: secret, atMs: 0 }]
  browser.setItem('armshare.drives', JSON.stringify(written))
  const drives = new KeptDrives(browser, storage())
  expect(browser.getItem('armshare.drives')).not.toContain(secret)
  expect(drives.find('0xA', '0xR')).toMatchObject({ lease: 'L1', nonce: null, sessionKey: null, seconds: 3 })
})
