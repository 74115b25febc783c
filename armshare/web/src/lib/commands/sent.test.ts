import { expect, test } from 'vitest'
import { storage } from '../storage.testing'
import { type Sent, SentCommands } from './sent'

/** A hash for each number. */
const digests = (...of: number[]) => new Uint8Array(of.flatMap((each) => Array<number>(12).fill(each)))
const whole = (...of: number[]) => new Uint8Array(of.flatMap((each) => [...Array<number>(12).fill(each), ...Array<number>(20).fill(7)]))

const SENT: Sent = { episode: 'e1', epoch: 7, first: 3, from: 5, digests: digests(5, 6), width: 12, applied: 5, whole: false, over: false, foreign: false, atMs: 1 }

test('what was sent is known after a reload, by episode and epoch, and nothing of other episodes', () => {
  const browser = storage()
  const before = new SentCommands(browser)
  before.keep(SENT)
  before.keep({ ...SENT, digests: digests(5, 6, 7), over: true })
  before.keep({ ...SENT, epoch: 8 })
  before.keep({ ...SENT, episode: 'e12' })
  const after = new SentCommands(browser)
  expect(after.of('e1')).toEqual([{ ...SENT, digests: digests(5, 6, 7), over: true }, { ...SENT, epoch: 8 }])
  expect(after.of('e2')).toEqual([])
})

test('the page that drives knows all of each, and twelve bytes are written down of the newest', () => {
  const browser = storage()
  const page = new SentCommands(browser)
  const known = { ...SENT, digests: whole(5, 6), width: 32 }
  page.keep(known)
  expect(page.of('e1')).toEqual([known])
  expect(new SentCommands(browser).of('e1')).toEqual([SENT])
  const long = { ...known, digests: new Uint8Array(32 * 20_000).map((_, i) => i >> 13) }
  page.keep(long)
  const [read] = new SentCommands(browser).of('e1')
  expect(read).toMatchObject({ from: 5 + 20_000 - 16_384, width: 12 })
  expect(read?.digests.subarray(-12)).toEqual(long.digests.subarray(-12))
  expect(read?.digests.length).toBe(12 * 16_384)
})

test('two windows that drive one episode write beside each other', () => {
  const browser = storage()
  const [one, other] = [new SentCommands(browser), new SentCommands(browser)]
  one.keep(SENT)
  other.keep({ ...SENT, epoch: 8 })
  one.keep({ ...SENT, over: true })
  for (const window of [one, other, new SentCommands(browser)]) expect(window.of('e1').map(({ epoch }) => epoch)).toEqual([7, 8])
  expect(other.of('e1')[0]?.over).toBe(true)
})

test('what is signed or discarded is forgotten, and only that', () => {
  const browser = storage()
  browser.setItem('armshare.review', 'first')
  const sent = new SentCommands(browser)
  for (const each of [SENT, { ...SENT, epoch: 8 }, { ...SENT, episode: 'e2' }]) sent.keep(each)
  sent.forget('e1')
  expect(sent.of('e1')).toEqual([])
  expect([...browser.kept.keys()]).toEqual(['armshare.review', 'armshare.commands.e2.7'])
})

test('of those that nobody decides, the oldest make room', () => {
  const browser = storage()
  const sent = new SentCommands(browser)
  for (let i = 0; i < 70; i++) sent.keep({ ...SENT, episode: `e${i}`, atMs: i === 0 ? 1000 : i })
  expect(browser.kept.size).toBe(64)
  expect(new SentCommands(browser).of('e0')).toHaveLength(1)
  expect(new SentCommands(browser).of('e6')).toEqual([])
  expect(new SentCommands(browser).of('e7')).toHaveLength(1)
})

test('if there is no room for it, the oldest of the others make some', () => {
  const browser = storage()
  const full = Object.assign(browser, {
    setItem: (key: string, value: string) => {
      if (browser.kept.size >= 5 && !browser.kept.has(key)) throw new DOMException('full', 'QuotaExceededError')
      browser.kept.set(key, value)
    },
  })
  full.setItem('armshare.review', 'first')
  const sent = new SentCommands(full)
  for (let i = 0; i < 6; i++) sent.keep({ ...SENT, episode: `e${i}`, atMs: i })
  const after = new SentCommands(full)
  expect(after.of('e5')).toHaveLength(1)
  expect(after.of('e0')).toEqual([])
  expect(sent.of('e0')).toHaveLength(1) // this page knows it nevertheless
  expect(full.getItem('armshare.review')).toBe('first')
})

test('a browser without any room keeps it in the page', () => {
  const full = Object.assign(storage(), {
    setItem: () => {
      throw new DOMException('full', 'QuotaExceededError')
    },
  })
  const sent = new SentCommands(full)
  sent.keep(SENT)
  expect(sent.of('e1')).toEqual([SENT])
})

test('what cannot be read counts as nothing', () => {
  const browser = storage()
  for (const [key, text] of [['7', '{'], ['8', 'null'], ['9', '{"epoch":9}']]) browser.setItem(`armshare.commands.e1.${key}`, text as string)
  expect(new SentCommands(browser).of('e1')).toEqual([])
})
