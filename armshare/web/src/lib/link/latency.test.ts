import { expect, test } from 'vitest'
import { Latency } from './latency'

test('a press is answered by the first picture of a state in which its command is applied', () => {
  const latency = new Latency()
  latency.pressed(1000, 5)
  expect(latency.shown(99)).toBeNull()
  latency.sent(4, 99)
  expect(latency.shown(99)).toBeNull()
  latency.sent(5, 100)
  latency.sent(6, 101)
  expect(latency.shown(99)).toBeNull()
  expect(latency.shown(100)).toBe(1000)
  expect(latency.shown(101)).toBeNull()
})

test('a second key while the first is not answered is not followed, unless the first was given up', () => {
  const latency = new Latency()
  latency.pressed(1000, 5)
  latency.pressed(1100, 6)
  latency.sent(6, 100)
  expect(latency.shown(100)).toBe(1000)
  latency.pressed(2000, 7)
  latency.pressed(4001, 8)
  latency.sent(8, 200)
  expect(latency.shown(200)).toBe(4001)
})
