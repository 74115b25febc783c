import { expect, test } from 'vitest'
import { storage } from '../storage.testing'
import { type Sent, SentCommands } from './sent'

/** A hash for each number. */
const digests = (...of: number[]) => new Uint8Array(of.flatMap((each) => Array<number>(32).fill(each)))

const SENT: Sent = { episode: 'e1', epoch: 7, first: 3, from: 5, digests: digests(5, 6), applied: 5, whole: false, over: false, foreign: false, atMs: 1 }

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

test('the page that drives knows all of it, and what is written down begins with what was obeyed last', () => {
  const browser = storage()
  const page = new SentCommands(browser)
  page.keep({ ...SENT, from: 3, digests: digests(3, 4, 5, 6), applied: 5 })
  expect(page.of('e1')).toMatchObject([{ first: 3, from: 3 }])
  expect(new SentCommands(browser).of('e1')).toEqual([SENT])
  page.keep({ ...SENT, applied: 9 })
  expect(new SentCommands(browser).of('e1')).toMatchObject([{ from: 7, digests: digests() }])
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
  for (let i = 0; i < 70; i++) sent.keep({ ...SENT, episode: `e${i}`, atMs: 100 - i })
  expect(browser.kept.size).toBe(64)
  expect(new SentCommands(browser).of('e0')).toHaveLength(1)
  expect(new SentCommands(browser).of('e69')).toEqual([])
})

test('a browser without room keeps it in the page', () => {
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
