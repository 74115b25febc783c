import { expect, test } from 'vitest'
import { Credit, TOGETHER, WAIT_MS } from './credit'

test('several frames are answered at once', () => {
  const credit = new Credit()
  const answers = Array.from({ length: 2 * TOGETHER }, (_, i) => credit.drawn(i, false))
  expect(answers.flatMap((answered, i) => (answered ? [i + 1] : []))).toEqual([TOGETHER, 2 * TOGETHER])
})

test('a reader that is behind answers each', () => {
  const credit = new Credit()
  expect([1, 2, 3].map((ms) => credit.drawn(ms, true))).toEqual([true, true, true])
  expect(credit.due(1000)).toBe(false)
})

test('what is unanswered is answered in time, and once', () => {
  const credit = new Credit()
  expect(credit.due(0)).toBe(false)
  credit.drawn(10, false)
  credit.drawn(30, false)
  expect(credit.due(10 + WAIT_MS - 1)).toBe(false)
  expect(credit.due(10 + WAIT_MS)).toBe(true)
  expect(credit.due(1000)).toBe(false)
})
