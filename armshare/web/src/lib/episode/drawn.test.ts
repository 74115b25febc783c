import { expect, test } from 'vitest'
import { countOf, filmS, pictureAt } from './drawn'

test('a film and the episode begin and end together, and no moment is shown by a picture that is far from it', () => {
  for (const lengthS of [0.2, 3.05, 4.9, 30, 59.95, 180]) {
    const count = Math.min(600, Math.ceil(lengthS * 10) + 1)
    expect(pictureAt(0, lengthS, count)).toBe(0)
    expect(pictureAt(lengthS, lengthS, count)).toBe(count - 1)
    for (let atS = 0; atS <= lengthS; atS += lengthS / 37) {
      const shownS = (pictureAt(atS, lengthS, count) * lengthS) / (count - 1)
      expect(Math.abs(shownS - atS)).toBeLessThanOrEqual(lengthS / (count - 1) / 2 + 1e-9)
    }
  }
})

test('moments outside the episode show its ends', () => {
  expect(pictureAt(-1, 3, 31)).toBe(0)
  expect(pictureAt(9, 3, 31)).toBe(30)
  expect(pictureAt(1, 0, 1)).toBe(0)
})

test('a picture is found again by where it is in the film', () => {
  expect(countOf(3.1)).toBe(31)
  for (let picture = 0; picture < 600; picture += 1) expect(Math.floor(filmS(picture) * 10 + 1e-6)).toBe(picture)
})
