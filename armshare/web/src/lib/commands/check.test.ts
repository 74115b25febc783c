import { expect, test } from 'vitest'
import { checkCommands, CommandsError, type Said } from './check'
import { bytesOf } from './digests'
import type { Sent } from './sent'

const hash = (of: number): string => of.toString(16).padStart(64, '0')
const digests = (...of: number[]) => bytesOf(of.map(hash).join(''))
const said = (epoch: number, seq: number, sha256 = hash(seq)): Said => ({ epoch, seq, sha256 })

/** Commands 5 to 9 of epoch 7, all of the episode, as a page knows it that drove it to its end. */
const SENT: Sent = { episode: 'e1', epoch: 7, first: 5, from: 5, digests: digests(5, 6, 7, 8, 9), width: 32, applied: 6, whole: true, over: true, foreign: false, atMs: 1 }
const INTERRUPTED = { ...SENT, whole: false }
const BACK: Sent = { ...SENT, epoch: 8, first: 1, from: 1, digests: digests(1, 2, 3), applied: 2, whole: false }

function code(commands: Said[] | undefined, sent: Sent[], agreed = false): string | null {
  try {
    checkCommands({ episode: 'e1', ...(commands ? { commands } : {}) }, sent, agreed)
    return null
  } catch (error) {
    expect(error).toBeInstanceOf(CommandsError)
    return (error as CommandsError).code
  }
}

test.each([
  ['the last command that was sent', [said(7, 9)], [SENT]],
  ['one before it: the last ones came too late', [said(7, 5)], [SENT]],
  ['the last one before each gap, too', [said(7, 6), said(7, 9)], [SENT]],
  ['of each epoch the last', [said(7, 9), said(8, 3)], [INTERRUPTED, BACK]],
  ['nothing of an epoch in which nothing was obeyed', [said(7, 8)], [INTERRUPTED, { ...BACK, applied: 0 }]],
])('a manifest with %s is signed', (_, commands, sent) => {
  expect(code(commands, sent)).toBeNull()
})

test.each([
  ['another hash', [said(7, 9, hash(1))], [SENT]],
  ['the hash of another of ours', [said(7, 9, hash(8))], [SENT]],
  ['a command that was never sent', [said(7, 10)], [SENT]],
  ['one before a gap that was never sent so', [said(7, 6, hash(1)), said(7, 9)], [SENT]],
  ['a command of the episode before, in the same epoch', [said(7, 4)], [SENT]],
  ['another epoch', [said(6, 9)], [SENT]],
  ['another epoch, too, of a drive that was all driven here', [said(7, 9), said(8, 1)], [SENT]],
  ['nothing of an epoch that was driven here', [said(8, 3)], [INTERRUPTED, BACK]],
  ['nothing of an epoch that was driven here, and something of another', [said(6, 3), said(8, 3)], [INTERRUPTED, BACK]],
  ['one that differs beside one that nobody here knows', [said(6, 1), said(7, 9, hash(1))], [INTERRUPTED]],
  ['no hash of any that was sent', [said(7, 1)], [{ ...SENT, digests: digests() }]],
])('a manifest with %s is never signed, whatever anybody agrees to', (_, commands, sent) => {
  expect(code(commands, sent)).toBe('commands_differ')
  expect(code(commands, sent, true)).toBe('commands_differ')
})

test.each([
  ['that this browser did not drive', [said(7, 9)], []],
  ['that went on elsewhere', [said(7, 9), said(9, 4)], [INTERRUPTED]],
  ['whose page was cut short before it could write down what it sent last', [said(7, 11)], [{ ...INTERRUPTED, over: false }]],
  ['of which the page has forgotten a command before a gap', [said(7, 6), said(7, 9)], [{ ...SENT, from: 8, digests: digests(8, 9) }]],
  ['of version 1, that this browser did not drive', undefined, []],
])('an episode %s is signed only if somebody says so', (_, commands, sent) => {
  expect(code(commands, sent)).toBe('commands_unseen')
  expect(code(commands, sent, true)).toBeNull()
})

test('an episode that was driven here and sealed as version 1 is never signed', () => {
  expect(code(undefined, [SENT])).toBe('commands_missing')
  expect(code(undefined, [{ ...INTERRUPTED, over: false }], true)).toBe('commands_missing')
})

test('an episode in which the robot was seen to obey others is never signed, even if its manifest names ours', () => {
  expect(code([said(7, 9)], [{ ...SENT, foreign: true }])).toBe('other_commands')
  expect(code(undefined, [INTERRUPTED, { ...BACK, foreign: true }], true)).toBe('other_commands')
})
