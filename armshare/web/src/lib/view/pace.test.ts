import { expect, test } from 'vitest'
import { Pace } from './pace'

/** Ticks at the display's rate, or `costMs` after a frame that was drawn; returns how many of them were drawn. */
function drawnIn(totalMs: number, costMs: number): number {
  const pace = new Pace()
  let drawn = 0
  for (let nowMs = 0; nowMs < totalMs; ) {
    const due = pace.due(nowMs)
    if (due) pace.drawn(nowMs)
    drawn += Number(due)
    nowMs += due ? Math.max(16, costMs) : 16
  }
  return drawn
}

test('a fast display draws every frame', () => {
  expect(drawnIn(1600, 10)).toBe(100)
})

test('slow drawing takes about half of the time', () => {
  const share = (drawnIn(20_000, 100) * 100) / 20_000
  expect(share).toBeGreaterThan(0.4)
  expect(share).toBeLessThan(0.6)
})

test('a time in which nothing changed is not one in which drawing was slow', () => {
  const pace = new Pace()
  for (let nowMs = 0; nowMs < 20_000; nowMs += 1000) {
    expect(pace.due(nowMs)).toBe(true)
    pace.drawn(nowMs)
    pace.rest()
  }
  expect(pace.slow).toBe(false)
})

test('a picture of a display that is slower still is never older than what a frame takes, and 250 ms', () => {
  const pace = new Pace()
  let [drawnMs, waitedMs] = [0, 0]
  for (let nowMs = 0; nowMs < 20_000; ) {
    const due = pace.due(nowMs)
    if (due) {
      waitedMs = Math.max(waitedMs, nowMs - drawnMs)
      pace.drawn((drawnMs = nowMs))
    }
    nowMs += due ? 220 : 10
  }
  expect(waitedMs).toBeLessThanOrEqual(260)
})
