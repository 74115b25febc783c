import { expect, test } from 'vitest'
import { nameOf, sharesOf, wrongPart } from './naming'
import { count, found, length, ofHundred, percent, plural, size, ticks } from './numbers'

const plain = (text: string): string => text.replaceAll('\u202f', ' ')

test('numbers are read at a glance', () => {
  expect(plain(count(1_234_567))).toBe('1 234 567')
  expect(plain(found({ total: 10_000, more: true }))).toBe('10 000+')
  expect(plural(1, 'episode')).toBe('1 episode')
  expect(ofHundred(0.8734)).toBe('87.3')
  expect(plain(percent(0.996))).toBe('99.6 %')
  expect(plain(percent(1))).toBe('100 %')
})

test.each([
  [1.35, '1.4 s'],
  [75.2, '1 min 15 s'],
  [3599.7, '1.0 h'],
  [7200, '2.0 h'],
  [360_000, '100 h'],
])('%d s is %s', (seconds, says) => {
  expect(plain(length(seconds))).toBe(says)
})

test.each([
  [0, '0 B'],
  [999, '999 B'],
  [45_506, '45.5 kB'],
  [123_456_789, '123 MB'],
  [5e15, '5000 TB'],
])('%d bytes are %s', (bytes, says) => {
  expect(plain(size(bytes))).toBe(says)
})

test.each([
  [0, 7, [0, 2, 4, 6]],
  [0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]],
  [-0.13, 0.12, [-0.1, -0.05, 0, 0.05, 0.1]],
  [3, 3, [3]],
])('an axis from %d to %d has round marks', (least, most, marks) => {
  expect(ticks(least, most)).toEqual(marks)
})

test('a title makes a name that the hub takes', () => {
  expect(nameOf('My first lifts!')).toBe('my-first-lifts')
  expect(nameOf('Übung: Würfel, 2. Versuch')).toBe('ubung-wurfel-2-versuch')
  expect(nameOf('Lifts of a cube, by scripts and a policy')).toBe('lifts-of-a-cube-by-scripts')
  expect(wrongPart(nameOf('a'.repeat(90)))).toBeNull()
  expect(wrongPart('lab')).toBeNull()
  for (const wrong of ['', 'a', 'Lab', '-lab', 'lab-', 'my lab', 'a'.repeat(41)]) expect(wrongPart(wrong)).not.toBeNull()
})

test('shares are parts of one, or they are refused', () => {
  expect(sharesOf(80, 10, 10)).toEqual({ train: 0.8, validation: 0.1, test: 0.1 })
  expect(sharesOf(100, 0, 0)).toEqual({ train: 1, validation: 0, test: 0 })
  for (const [a, b, c] of [[80, 10, 5], [110, -10, 0], [Number.NaN, 50, 50]] as const) expect(sharesOf(a, b, c)).toBeNull()
})
