import { expect, test } from 'vitest'
import { missing, Seen } from './seen'

const play = (seen: Seen, fromS: number, untilS: number) => {
  for (let s = fromS; s <= untilS; s += 1 / 60) seen.at(s)
}

test('what was played counts once, however often it is played', () => {
  const seen = new Seen(20)
  play(seen, 0, 4.9)
  const once = seen.seconds
  play(seen, 0, 4.9)
  expect(once).toBeCloseTo(5, 0)
  expect(seen.seconds).toBe(once)
})

test('to jump to the end shows the end, and nothing of what lies between', () => {
  const seen = new Seen(60)
  seen.at(0)
  seen.at(60)
  expect(seen.seconds).toBeLessThanOrEqual(0.5)
})

test('fast playing shows what it passes', () => {
  const seen = new Seen(20)
  for (let s = 0; s <= 20; s += 0.2) seen.at(s)
  expect(seen.seconds).toBe(20)
})

test('an answer waits until a quarter was shown, and until the hub takes it', () => {
  expect(missing(0, 20, 5000, 0)).toEqual({ lookS: 5, waitS: 5 })
  expect(missing(5, 20, 5000, 5000)).toEqual({ lookS: 0, waitS: 0 })
})
