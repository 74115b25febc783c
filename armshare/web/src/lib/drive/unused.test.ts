import { expect, test } from 'vitest'
import { Unused, UNUSED_MS, WAITED_FOR_MS } from './unused'

test('a robot that nobody uses goes back, and each use starts the time again', () => {
  const unused = new Unused(1000)
  expect(unused.leftMs(1000)).toBe(UNUSED_MS)
  expect(unused.leftMs(1000 + UNUSED_MS)).toBe(0)
  unused.used(50_000)
  expect(unused.leftMs(50_000)).toBe(UNUSED_MS)
})

test('if another waits it goes back soon, whatever is pressed on the page', () => {
  const unused = new Unused(0)
  unused.waited(true, 5000)
  expect(unused.leftMs(5000)).toBe(WAITED_FOR_MS)
  unused.used(10_000)
  unused.waited(true, 10_000)
  expect(unused.leftMs(10_000)).toBe(WAITED_FOR_MS - 5000)
  expect(unused.leftMs(5000 + WAITED_FOR_MS)).toBe(0)
})

test('once nobody waits any more it stays', () => {
  const unused = new Unused(0)
  unused.waited(true, 0)
  unused.waited(false, 1000)
  expect(unused.leftMs(1000)).toBe(UNUSED_MS - 1000)
})

test('a robot never stays longer because somebody waits', () => {
  const unused = new Unused(0)
  unused.waited(true, UNUSED_MS - 1000)
  expect(unused.leftMs(UNUSED_MS - 1000)).toBe(1000)
})
