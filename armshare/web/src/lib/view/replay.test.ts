import { expect, test } from 'vitest'
import { Replay } from './replay.svelte'

/** Values that count 0, 10, 20... at 20 Hz. */
function recorded(states = 21): Replay {
  const replay = new Replay()
  for (let i = 0; i < states; i++) replay.push({ tHostUs: BigInt(7_000_000 + 50_000 * i), values: Float32Array.of(10 * i), succeeded: false, progress: null })
  return replay
}

const value = (replay: Replay, nowMs = 0) => replay.values(nowMs)?.[0]

test('nothing recorded has nothing to show', () => {
  expect(new Replay().values(0)).toBeNull()
})

test('a scrubber goes to any moment, also between two states, and no further than the end', () => {
  const replay = recorded()
  expect(replay.lengthS).toBeCloseTo(1)
  for (const [atS, wanted] of [[0, 0], [0.5, 100], [0.525, 105], [1, 200], [9, 200], [-1, 0]] as const) {
    replay.scrub(atS)
    expect(value(replay)).toBeCloseTo(wanted)
  }
})

test('it plays at the speed of the robot, pauses, and stops at the end', () => {
  const replay = recorded()
  replay.play()
  value(replay, 1000)
  expect(value(replay, 1250)).toBeCloseTo(50)
  replay.pause()
  expect(value(replay, 1900)).toBeCloseTo(50)
  replay.play()
  value(replay, 2000)
  expect(value(replay, 2100)).toBeCloseTo(70)
  expect(value(replay, 9000)).toBeCloseTo(200)
  expect(replay.playing).toBe(false)
})

test('played again at its end, it begins again', () => {
  const replay = recorded()
  replay.scrub(1)
  replay.play()
  expect(replay.atS).toBe(0)
})

test('a state that came before does not go back in time, and another episode forgets this one', () => {
  const replay = recorded()
  replay.push({ tHostUs: 7_000_000n, values: Float32Array.of(99), succeeded: false, progress: null })
  expect(replay.lengthS).toBeCloseTo(1)
  replay.clear()
  expect(replay.values(0)).toBeNull()
})

test('a replay whose clock is the simulation\'s takes its times from there, and plays from a moment of the episode', () => {
  const replay = new Replay()
  for (let k = 1; k <= 21; k++) replay.push({ tHostUs: BigInt(k * k * 1_000_000), values: Float32Array.of(k), succeeded: false, progress: null }, 50 * k)
  replay.fromS = 0.05
  expect(replay.lengthS).toBeCloseTo(1)
  replay.playFrom(0.55)
  expect(replay.playing).toBe(true)
  expect(replay.episodeS).toBeCloseTo(0.55)
  expect(value(replay)).toBeCloseTo(11)
  replay.playFrom(0)
  expect(replay.atS).toBe(0)
})

test('to play from the very end plays the drive from its beginning', () => {
  const replay = recorded()
  replay.playFrom(9)
  expect([replay.playing, replay.atS]).toEqual([true, 0])
})

test('at another speed it shows more or less of the drive in a second, and a step pauses it', () => {
  const replay = recorded()
  replay.speed = 2
  replay.play()
  replay.tick(1000)
  replay.tick(1100)
  expect(replay.atS).toBeCloseTo(0.2)
  replay.speed = 0.25
  replay.tick(1500)
  expect(replay.atS).toBeCloseTo(0.3)
  replay.step(0.05)
  expect([replay.playing, replay.atS]).toEqual([false, expect.closeTo(0.35)])
  replay.step(-9)
  expect(replay.atS).toBe(0)
})

test('two that draw it at the same moment, by clocks that differ a little, do not make it faster', () => {
  const replay = recorded()
  replay.play()
  for (let ms = 1000; ms <= 1500; ms += 20) {
    replay.tick(ms)
    replay.tick(ms - 5)
  }
  expect(replay.atS).toBeCloseTo(0.5)
})
