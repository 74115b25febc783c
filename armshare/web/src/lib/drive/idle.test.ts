import { expect, test } from 'vitest'
import { Idle } from './idle.svelte'
import { TOLD_MS, UNUSED_MS, WAITED_FOR_MS } from './unused'

test('a robot that nobody drives goes back after a while, and its last minute is told', () => {
  const idle = new Idle()
  const nowMs = performance.now() + 1000
  idle.driven(nowMs)
  expect(idle.undriven(false, nowMs + UNUSED_MS - TOLD_MS - 1)).toBe(false)
  expect(idle.goesBackS).toBeNull()
  expect(idle.undriven(false, nowMs + UNUSED_MS - 1500)).toBe(false)
  expect(idle.goesBackS).toBe(2)
  expect(idle.undriven(false, nowMs + UNUSED_MS)).toBe(true)
  expect(idle.goesBackS).toBeNull()
})

test('a robot that is driven is not counted down', () => {
  const idle = new Idle()
  const nowMs = performance.now()
  idle.undriven(false, nowMs + UNUSED_MS - 1500)
  expect(idle.goesBackS).not.toBeNull()
  idle.driven(nowMs + UNUSED_MS)
  expect(idle.goesBackS).toBeNull()
  expect(idle.undriven(false, nowMs + UNUSED_MS + 1)).toBe(false)
})

test('a robot for which somebody waits goes to them sooner', () => {
  const idle = new Idle()
  const nowMs = performance.now()
  idle.driven(nowMs)
  expect(idle.undriven(true, nowMs)).toBe(false)
  expect(idle.undriven(true, nowMs + WAITED_FOR_MS)).toBe(true)
})
