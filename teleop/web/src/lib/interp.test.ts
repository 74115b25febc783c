import { expect, test } from 'vitest'
import { Layout, LayoutError, stageAt } from './descriptor'
import { amount, clock } from './format'
import { Playback } from './interp'
import type { State } from './wire'

const seen = (hostMs: number, ...values: number[]): State => ({
  safety: 'driving',
  recording: true,
  succeeded: false,
  limited: false,
  epoch: 1,
  seq: hostMs,
  applied: 0,
  tHostUs: BigInt(hostMs) * 1000n,
  tClientUs: 0n,
  progress: null,
  values: Float32Array.from(values),
})

test('nothing is drawn before the first state', () => {
  expect(new Playback(60).at(0)).toBeNull()
})

test('between two states the picture is between them, late by the delay', () => {
  const playback = new Playback(50)
  playback.push(seen(1000, 0), 5000)
  playback.push(seen(1050, 1), 5050)
  expect(playback.at(5050)?.[0]).toBeCloseTo(0)
  expect(playback.at(5075)?.[0]).toBeCloseTo(0.5)
  expect(playback.at(5500)?.[0]).toBeCloseTo(1)
})

test('a state that the network delayed does not make the picture jump back', () => {
  const playback = new Playback(50)
  playback.push(seen(1000, 0), 5000)
  playback.push(seen(1050, 1), 5200)
  expect(playback.at(5075)?.[0]).toBeCloseTo(0.5)
})

test('a new scene, whose clock starts again, is drawn at once', () => {
  const playback = new Playback(50)
  playback.push(seen(1000, 0), 5000)
  playback.push(seen(10, 7), 6000)
  expect(playback.at(6001)?.[0]).toBe(7)
})

test('a state that comes twice is drawn once', () => {
  const playback = new Playback(50)
  playback.push(seen(1000, 0), 5000)
  playback.push(seen(1050, 1), 5050)
  playback.push(seen(1050, 1), 5051)
  expect(playback.at(5075)?.[0]).toBeCloseTo(0.5)
})

test('a quaternion goes the short way, also where its sign flips', () => {
  const playback = new Playback(0, [0])
  playback.push(seen(0, 0, 0, 0, 1), 0)
  playback.push(seen(100, 0, 0, 0, -1), 100)
  expect(Math.abs(playback.at(50)?.[3] ?? 0)).toBeCloseTo(1)
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
