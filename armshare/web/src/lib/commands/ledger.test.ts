import { expect, test } from 'vitest'
import { storage } from '../storage.testing'
import { checkCommands } from './check'
import { Ledger } from './ledger'
import { SentCommands } from './sent'

const EPOCH = 7

/** A page that drives; `send` says how many commands it sends, each of which has a hash of its own. */
function page(browser = storage(), epoch = EPOCH) {
  const sent = new SentCommands(browser)
  const ledger = new Ledger(sent, () => 1)
  let last = 0
  const send = (count: number) => {
    const digests = new Uint8Array(32 * count)
    for (let i = 0; i < count; i++) new DataView(digests.buffer).setUint32(32 * i, epoch * 2 ** 20 + last + i + 1)
    ledger.push(epoch, last + 1, digests)
    last += count
  }
  const said = (seq: number) => ({ epoch, seq, sha256: (epoch * 2 ** 20 + seq).toString(16).padStart(8, '0').padEnd(64, '0') })
  return { browser, sent, ledger, send, said }
}

const signs = (of: SentCommands, ...commands: { epoch: number; seq: number; sha256: string }[]) => {
  try {
    checkCommands({ episode: 'e1', commands }, of.of('e1'), false)
    return 'signed'
  } catch (error) {
    return (error as { code: string }).code
  }
}

test('a drive from its beginning to its end is known whole, also after a reload', () => {
  const { browser, ledger, send, said } = page()
  send(3)
  ledger.begin('e1', EPOCH, true)
  send(5)
  ledger.seen({ applied: 6 })
  send(2)
  ledger.end(true)
  send(4)
  const after = new SentCommands(browser)
  expect(after.of('e1')).toMatchObject([{ first: 4, from: 4, applied: 6, whole: true, over: true }])
  expect(signs(after, said(10))).toBe('signed')
  expect(signs(after, said(6))).toBe('signed')
  expect(signs(after, said(3))).toBe('commands_differ') // sent before the episode began
  expect(signs(after, said(11))).toBe('commands_differ') // sent after it had ended
})

test('what is written down of an hour takes no more room than of a minute, whatever a host says was obeyed', () => {
  for (const applied of [null, 0, 1]) {
    const { browser, ledger, send, said, sent } = page()
    ledger.begin('e1', EPOCH, true)
    for (let i = 0; i < 500; i++) {
      send(70)
      ledger.seen({ applied: applied ?? 70 * i })
    }
    ledger.end(true)
    expect([...browser.kept.values()].join().length).toBeLessThan(270_000)
    expect(signs(sent, said(1), said(20_000), said(35_000))).toBe('signed')
    expect(signs(sent, { ...said(1), seq: 2 }, said(35_000))).toBe('commands_differ')
    const after = new SentCommands(browser)
    expect(signs(after, said(20_000), said(35_000))).toBe('signed')
    expect(signs(after, { ...said(20_000), seq: 20_001 }, said(35_000))).toBe('commands_differ')
    expect(signs(after, said(1), said(35_000))).toBe('commands_unseen')
  }
})

test('a drive that goes on in another window is known of both', () => {
  const first = page()
  first.ledger.begin('e1', EPOCH, true)
  first.send(5)
  first.ledger.seen({ applied: 4 })
  first.ledger.silent(true)
  const second = page(first.browser, EPOCH + 1)
  second.ledger.begin('e1', EPOCH + 1, false)
  second.send(8)
  second.ledger.seen({ applied: 7 })
  second.ledger.end(true)
  expect(signs(second.sent, first.said(5), second.said(8))).toBe('signed')
  expect(signs(second.sent, first.said(6), second.said(8))).toBe('commands_differ')
  expect(signs(second.sent, second.said(8))).toBe('commands_differ')
  const third = { ...second.said(1), epoch: EPOCH + 2 }
  expect(signs(second.sent, first.said(5), second.said(8), third)).toBe('commands_unseen')
})

test('a page that was cut short does not say that nothing more was sent, and one that fell silent does', () => {
  const { browser, ledger, send, said } = page()
  ledger.begin('e1', EPOCH, true)
  send(5)
  ledger.seen({ applied: 4 })
  expect(signs(new SentCommands(browser), said(6))).toBe('commands_unseen')
  ledger.silent(true)
  expect(signs(new SentCommands(browser), said(6))).toBe('commands_differ')
  ledger.silent(false)
  expect(signs(new SentCommands(browser), said(6))).toBe('commands_unseen')
})

test('an episode in which the robot obeyed others is marked, and so is the next one of the visit', () => {
  const { browser, ledger, send, said } = page()
  ledger.begin('e1', EPOCH, true)
  send(5)
  ledger.seen({ applied: 4 })
  ledger.foreign()
  expect(signs(new SentCommands(browser), said(5))).toBe('other_commands')
  ledger.begin('e2', EPOCH, true)
  ledger.end(true)
  expect(new SentCommands(browser).of('e2')).toMatchObject([{ foreign: true }])
})

test('nothing is written down before anything is recorded, or of an episode that was not kept', () => {
  const { browser, ledger, send } = page()
  ledger.begin('e1', EPOCH, true)
  send(5)
  ledger.silent(true)
  ledger.save()
  expect(browser.kept.size).toBe(0)
  ledger.end(false)
  ledger.begin('e1', EPOCH, true)
  send(5)
  ledger.seen({ applied: 4 })
  expect(browser.kept.size).toBe(1)
  ledger.end(false)
  expect(browser.kept.size).toBe(0)
})
