import { expect, test } from 'vitest'
import type { Cost, Segment } from '../account/api'
import { kindOf, KINDS, lengthOf, momentOf, noticed, points, rowsOf, shownOf, spanOf, stagesOf, told } from './timeline'

const cost = (points: number, from_s: number | null = null, until_s: number | null = null): Cost => ({ part: 'flow', points, sentence: 'Waited.', from_s, until_s })
const segment = (from_s: number, until_s: number, kind = 'idle'): Segment => ({ kind, from_s, until_s })

test.each([
  [2, 4, 10, { left: 20, width: 20 }],
  [0, 10, 10, { left: 0, width: 100 }],
  [8, 40, 10, { left: 80, width: 20 }],
  [0, 1, 0, { left: 0, width: 100 }],
])('from %f to %f of %f s lies there on the line, and never beyond it', (from, until, length, span) => {
  expect(spanOf(from, until, length)).toEqual(span)
})

test.each([[5, 5], [10, 10], [99, 99]])('a moment at %f is wide enough to be seen, and on the line', (from, until) => {
  const { left, width } = spanOf(from, until, 10)
  expect(width).toBeGreaterThan(0)
  expect(left + width).toBeLessThanOrEqual(100)
})

test('the line is as long as the drive, or as what is told of it', () => {
  expect(lengthOf(10, [segment(1, 4)], [cost(0.1, 3, 5)])).toBe(10)
  expect(lengthOf(10, [segment(1, 12)], [])).toBe(12)
  expect(lengthOf(0, [], [cost(0.1, 3, 5), cost(0.1)])).toBe(5)
})

test('stretches that overlap are drawn in rows of their own, and a row is used again', () => {
  const rows = rowsOf([segment(0, 4), segment(2, 6), segment(4, 5), segment(7, 8)])
  expect(rows.map(({ row }) => row)).toEqual([0, 1, 0, 0])
})

test('what nobody notices is not shown, but for mistakes and recoveries', () => {
  const found = noticed([segment(0, 0.05, 'tail'), segment(0, 0.05, 'mistake'), segment(1, 1.05, 'recovery'), segment(2, 3)])
  expect(found.map(({ kind }) => kind)).toEqual(['mistake', 'recovery', 'idle'])
})

test('what rounds to nothing is not told', () => {
  expect(told([cost(0.2), cost(0.0004), cost(0)])).toEqual([cost(0.2)])
  expect(points(0.1234)).toBe('12.3')
})

test.each([
  [null, null, 'the whole drive'],
  [4.2, 4.6, 'at 0:04'],
  [4.2, 9.9, '0:04 to 0:09'],
  [59, 61, '0:59 to 1:01'],
  [4, null, 'at 0:04'],
])('a moment from %s to %s is "%s"', (from, until, said) => {
  expect(momentOf(from, until)).toBe(said)
})

const frames = (...progress: (number | null)[]) => progress.map((each, k) => ({ atMs: 5000 + 500 * k, progress: each }))

test('stages are named where they were under way, also once more after a drop', () => {
  const found = stagesOf(frames(0, 0.2, 0.5, 0.7, 0.1, 0.2, 0.6, 1), ['reach', 'raise'], 0.05)
  expect(found.map(({ name }) => name)).toEqual(['reach', 'raise', 'reach', 'raise'])
  expect(found[0]).toEqual({ name: 'reach', fromS: 0.05, untilS: 1.05 })
  expect(found.at(-1)?.untilS).toBeCloseTo(3.55)
})

test('a robot that cannot know its progress, and a task without stages, have no stages', () => {
  expect(stagesOf(frames(null, null), ['reach'])).toEqual([])
  expect(stagesOf(frames(0, 1), [])).toEqual([])
  expect(stagesOf([], ['reach'])).toEqual([])
})

test('each kind has a word and a mark of its own, so that colour alone tells nothing', () => {
  const all = Object.values(KINDS)
  expect(new Set(all.map(({ mark }) => mark)).size).toBe(all.length)
  expect(new Set(all.map(({ word }) => word)).size).toBe(all.length)
  expect(kindOf('of_a_newer_hub').word).toBe('Of a newer hub')
  expect(kindOf('constructor').word).toBe('Constructor')
})

test('what is not paid by is told in words, with its unit', () => {
  expect(shownOf({ duration_s: 12.34, recoveries: 2, path_efficiency: 0.876, smoothness: -3.21 })).toEqual([
    ['Time', '12.3 s'],
    ['Recoveries', '2'],
    ['Directness of the path', '88 %'],
    ['Smoothness (−2.5 is smooth)', '−3.2'],
  ])
  expect(shownOf({ valueOf: 1 })).toEqual([['valueOf', '1.00']])
})
