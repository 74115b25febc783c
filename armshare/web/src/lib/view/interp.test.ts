import { expect, test } from 'vitest'
import { Layout, LayoutError, stageAt } from '../link/descriptor'
import { amount, clock } from '../format'
import { Playback } from './interp'
import type { State } from '../link/wire'

const seen = (hostMs: number, ...values: number[]): State => ({
  safety: 'driving',
  recording: true,
  succeeded: false,
  limited: false,
  limits: 0,
  epoch: 1,
  seq: hostMs,
  applied: 0,
  tHostUs: BigInt(hostMs) * 1000n,
  tClientUs: 0n,
  commands: new Uint8Array(32),
  progress: null,
  values: Float32Array.from(values),
})

test('nothing is drawn before the first state', () => {
  expect(new Playback(60).at(0)).toBeNull()
})

const PERIOD_MS = 50
const RAMP_MS = 1.1 * PERIOD_MS

/** Numbers in [0, 1) from a seed. */
function chance(seed: number): () => number {
  let x = seed
  return () => (x = (x * 16807) % 2147483647) / 2147483647
}

test('the first state is drawn at once', () => {
  const playback = new Playback(PERIOD_MS)
  playback.push(seen(1000, 7), 5000)
  expect(playback.at(5001)?.[0]).toBe(7)
})

test('the picture sets out for a state in the first frame after it came, and is there within a ramp', () => {
  const playback = new Playback(PERIOD_MS)
  playback.push(seen(1000, 0), 5000)
  playback.at(5040)
  playback.push(seen(1050, 1), 5050)
  expect(playback.at(5056)?.[0]).toBeCloseTo(16 / (16 + RAMP_MS - 6))
  expect(playback.at(5050 + RAMP_MS)?.[0]).toBe(1)
})

test('however states and frames come, no value overshoots, jumps or turns back, and all arrive', () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = chance(seed)
    const playback = new Playback(PERIOD_MS)
    const arrivals = Array.from({ length: 40 }, (_, i) => [i, i * PERIOD_MS + 60 * random() ** 3] as const)
    let [nowMs, target, before, next] = [0, 0, 0, 0]
    while (nowMs < 40 * PERIOD_MS + 200) {
      const frameMs = 4 + 30 * random()
      nowMs += frameMs
      for (; next < arrivals.length && (arrivals[next]?.[1] ?? 0) <= nowMs; next++) {
        target = Math.max(target, arrivals[next]?.[0] ?? 0)
        playback.push(seen(1000 + (arrivals[next]?.[0] ?? 0), arrivals[next]?.[0] ?? 0), arrivals[next]?.[1] ?? 0)
      }
      const shown = playback.at(nowMs)?.[0]
      if (shown === undefined) continue
      expect(shown).toBeGreaterThanOrEqual(before)
      expect(shown).toBeLessThanOrEqual(target)
      if (target > before) expect(shown).toBeGreaterThan(before)
      before = shown
    }
    expect(before).toBe(39)
  }
})

test('states that come evenly are drawn at an even speed', () => {
  const playback = new Playback(PERIOD_MS)
  const speeds: number[] = []
  let before = 0
  for (let nowMs = 0; nowMs < 2000; nowMs += 10) {
    if (nowMs % PERIOD_MS === 0) playback.push(seen(nowMs + 1, nowMs), nowMs)
    const shown = playback.at(nowMs)?.[0] ?? 0
    if (nowMs > 1000) speeds.push((shown - before) / 10)
    before = shown
  }
  for (const speed of speeds) expect(speed).toBeCloseTo(1)
})

test('a new scene, whose clock starts again, is drawn at once', () => {
  const playback = new Playback(PERIOD_MS)
  playback.push(seen(1000, 0), 5000)
  playback.at(5010)
  playback.push(seen(10, 7), 6000)
  expect(playback.at(6001)?.[0]).toBe(7)
})

test('a state that comes twice sets out once', () => {
  const playback = new Playback(PERIOD_MS)
  playback.push(seen(1000, 0), 5000)
  playback.at(5050)
  playback.push(seen(1050, 1), 5050)
  playback.push(seen(1050, 1), 5090)
  expect(playback.at(5050 + RAMP_MS)?.[0]).toBe(1)
})

test('a quaternion goes the short way, also where its sign flips', () => {
  const playback = new Playback(PERIOD_MS, [0])
  playback.push(seen(0, 0, 0, 0, 1), 0)
  playback.at(50)
  playback.push(seen(100, 0, 0, 0, -1), 50)
  expect(Math.abs(playback.at(80)?.[3] ?? 0)).toBeCloseTo(1)
})

test('arrays are found by their names in the order of the descriptor', () => {
  const spec = (name: string, ...shape: number[]) => ({ name, shape, unit: '', doc: '' })
  const layout = new Layout([spec('joint_position', 2), spec('gripper_position', 1), spec('ee_pose', 7)])
  const values = Float32Array.from({ length: 10 }, (_, i) => i)
  expect([...(layout.get(values, 'gripper_position') ?? [])]).toEqual([2])
  expect(layout.get(values, 'cube_pose')).toBeNull()
  expect(layout.quaternions).toEqual([6])
  const rows = new Layout([spec('beads_pose', 3, 7)])
  expect(rows.quaternions).toEqual([3, 10, 17])
  expect(rows.get(Float32Array.from({ length: 21 }, (_, i) => i), 'beads_pose', 1)?.[0]).toBe(7)
  expect(() => layout.get(values.subarray(1), 'ee_pose')).toThrow(LayoutError)
})

test.each([
  ['0', '0'],
  ['1', '0'],
  ['250000000000000000', '0.25'],
  ['201300000000000000', '0.2013'],
  ['1234567000000000000000000', '1\u202f234\u202f567'],
  ['-500000000000000000', '−0.5'],
  ['nonsense', '–'],
])('%s units of 18 decimals read as %s', (units, text) => {
  expect(amount(units, 18)).toBe(text)
})

test('a time is minutes and seconds', () => {
  expect([clock(0), clock(9.96), clock(83.4), clock(-1)]).toEqual(['0:00', '0:09', '1:23', '0:00'])
})

test('a stage is an equal part of the progress, and the last one lasts to the end', () => {
  const at = (progress: number) => stageAt(['reach', 'lift', 'place'], progress)
  expect([at(0), at(0.32), at(0.34), at(0.99), at(1)]).toEqual(['reach', 'reach', 'lift', 'place', 'place'])
  expect(stageAt([], 0.5)).toBeNull()
})
