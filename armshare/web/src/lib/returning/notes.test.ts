import { expect, test, vi } from 'vitest'
import type { Kept } from './kept'
import { Notes } from './notes'
import type { View } from '../drive/session'

const DRIVE = { lease: 'L1', robot: '0xR', task: 'lift', operator: '0xA' } as Omit<Kept, 'atMs'>
const view = (change: Partial<View>) => ({ lease: { id: 'L1' }, closed: null, fault: null, ...change }) as View

function notes(noted: Omit<Kept, 'atMs'> | null = DRIVE) {
  const drives = { keep: vi.fn(), forget: vi.fn() }
  const mark = { recording: vi.fn(), over: vi.fn() }
  return { drives, mark, notes: new Notes(drives, mark, () => noted) }
}

test('a drive is written down with its first step, and once a second from then on', () => {
  const { drives, mark, notes: of } = notes()
  for (let steps = 1; steps <= 60; steps++) of.recorded(steps, steps === 1)
  expect(drives.keep.mock.calls).toEqual([[DRIVE], [DRIVE], [DRIVE], [DRIVE]])
  expect(mark.recording).toHaveBeenCalledTimes(1)
})

test('nothing is written down of a drive that this page cannot go on with', () => {
  const { drives, notes: of } = notes(null)
  of.recorded(1, true)
  of.write()
  expect(drives.keep).not.toHaveBeenCalled()
})

test('who comes back to a drive, or takes it over, may be cut short again', () => {
  const { drives, mark, notes: of } = notes()
  of.back()
  expect(mark.recording).toHaveBeenCalledTimes(1)
  expect(drives.keep.mock.calls).toEqual([[DRIVE]])
})

test.each(['connection_lost', 'failed', 'away', 'taken_over'])('a drive whose page is gone by "%s" can be gone on with', (closed) => {
  const { drives, mark, notes: of } = notes()
  of.over(view({ closed }), null)
  expect(drives.forget).not.toHaveBeenCalled()
  expect(mark.over).toHaveBeenCalledTimes(1)
})

test.each([null, 'left', 'expired', 'unused', 'host_lost'])('a drive that ended by %j is forgotten', (closed) => {
  const { drives, notes: of } = notes()
  of.over(view({ closed }), null)
  expect(drives.forget.mock.calls).toEqual([['L1']])
})

test('a drive that is kept no longer is forgotten by who came back to it', () => {
  const { drives, notes: of } = notes()
  const fault = { code: 'lease_over' } as View['fault']
  of.over(view({ lease: null, closed: 'failed', fault }), 'L0')
  expect(drives.forget.mock.calls).toEqual([['L0']])
})
