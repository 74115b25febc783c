import { expect, test } from 'vitest'
import { readBest, readReplay, readScore, ScoreError } from './score'

const OLD = {
  episode: 'e1', version: '2', score: 0.873, score_ppm: 873000, accepted: true,
  vector: { success: 1, smoothness: null }, reasons: ['Tap less.'], price: '10', pay: '8', paid: true, practice: null, awaiting_review: false,
}
const COST = { part: 'flow', points: 0.1, sentence: 'You waited.', from_s: 4, until_s: 6.5 }

test("an older hub's score has no moments, and is otherwise as it was", () => {
  expect(readScore(OLD)).toEqual({ ...OLD, costs: [], shown: {}, segments: [], versions: [] })
})

test('the largest cost comes first, whatever the order of the answer', () => {
  const costs = [{ ...COST, points: 0.02 }, { ...COST, points: 0.3, from_s: null, until_s: null }, COST]
  expect(readScore({ ...OLD, costs }).costs.map(({ points }) => points)).toEqual([0.3, 0.1, 0.02])
})

test.each([
  { points: 1.5 }, { points: -0.1 }, { points: '0.1' }, { points: NaN }, { sentence: 5 }, { sentence: '' }, { part: null },
])('a cost that cannot be is left out, and the score is still told: %o', (wrong) => {
  expect(readScore({ ...OLD, costs: [{ ...COST, ...wrong }, COST] }).costs).toEqual([COST])
})

test.each([
  { from_s: -1 }, { from_s: 7 }, { until_s: Infinity }, { until_s: null }, { from_s: '4' }, { until_s: 1e9 },
])('a cost whose moment cannot be is told without a moment: %o', (wrong) => {
  expect(readScore({ ...OLD, costs: [{ ...COST, ...wrong }] }).costs).toEqual([{ ...COST, from_s: null, until_s: null }])
})

test('a stretch that cannot be is left out; one of a newer kind is kept; they are in order of time', () => {
  const segments = [
    { kind: 'recovery', from_s: 5, until_s: 6 }, { kind: 'idle', from_s: 1, until_s: 2 }, { kind: 'newer', from_s: 3, until_s: 4 },
    { kind: 'idle', from_s: 9, until_s: 8 }, { kind: 7, from_s: 1, until_s: 2 }, null, 'idle',
  ]
  expect(readScore({ ...OLD, segments }).segments.map(({ kind }) => kind)).toEqual(['idle', 'newer', 'recovery'])
})

test('what is endless is cut', () => {
  const found = readScore({ ...OLD, costs: Array(5000).fill({ ...COST, sentence: 'x'.repeat(100_000) }), segments: Array(5000).fill({ kind: 'idle', from_s: 1, until_s: 2 }) })
  expect(found.costs.length).toBeLessThanOrEqual(200)
  expect(found.segments.length).toBeLessThanOrEqual(200)
  expect(found.costs[0]?.sentence.length).toBeLessThanOrEqual(600)
})

test.each([[{ costs: 'no', shown: [1], segments: {}, versions: 3 }], [{ costs: null, shown: null }], [{ shown: { a: 'x', b: Infinity, c: 2 } }]])('fields of other types are empty: %o', (wrong) => {
  const found = readScore({ ...OLD, ...wrong })
  expect([found.costs, found.segments, found.versions]).toEqual([[], [], []])
  expect(Object.values(found.shown).every(Number.isFinite)).toBe(true)
})

test.each([null, [], 'score', { ...OLD, score: 2 }, { ...OLD, score: null }, { ...OLD, accepted: 'yes' }])('what is no score is refused: %o', (answer) => {
  expect(() => readScore(answer)).toThrow(ScoreError)
})

test('the best drive is read, without what cannot be', () => {
  const best = { episode: 'e2', score: 0.97, duration_s: 8.1, apart_m: 0.02, driver: { kind: 'policy', name: 'p:act', sha256: 'ab' } }
  expect(readBest(best)).toEqual({ ...best, driver: { kind: 'policy', name: 'p:act' } })
  expect(readBest({ ...best, apart_m: -1, driver: 'someone' })).toEqual({ ...best, apart_m: null, driver: null })
  expect(readBest({ ...best, score: 97 })).toBeNull()
  expect(readBest({ ...best, duration_s: -1 })).toBeNull()
  expect(readBest(null)).toBeNull()
})

const base64 = (...values: number[]) => btoa(String.fromCharCode(...new Uint8Array(Float32Array.from(values).buffer)))
const REPLAY = { arrays: [{ name: 'joint_position', shape: [2] }], t_s: [0, 0.05], progress: [0, null], stages: ['reach'], values: base64(1, 2, 3, 4) }

test('a replay is read as rows of values', () => {
  const found = readReplay(REPLAY)
  expect(found && [...found.rows]).toEqual([1, 2, 3, 4])
  expect([found?.width, found?.progress, found?.stages]).toEqual([2, [0, null], ['reach']])
})

test.each([
  { values: base64(1, 2, 3) }, { values: base64(1, 2, 3, NaN) }, { values: '***' }, { values: 5 }, { t_s: [] }, { t_s: [0.05, 0] }, { t_s: [0, '1'] },
  { arrays: [] }, { arrays: [{ name: 'joint_position', shape: [3] }] }, { arrays: [{ name: 'joint_position', shape: [-2] }] },
])('a replay that cannot be is none: %o', (wrong) => {
  expect(readReplay({ ...REPLAY, ...wrong })).toBeNull()
})
