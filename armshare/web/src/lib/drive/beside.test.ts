import { expect, test } from 'vitest'
import type { Best, ReplayAnswer } from '../account/api'
import { Layout } from '../link/descriptor'
import { Beside } from './beside.svelte'

const layout = new Layout([{ name: 'joint_position', shape: [1], unit: 'rad', doc: '' }])
const BEST: Best = { episode: 'best', score: 0.98, duration_s: 1, apart_m: 0.01, driver: null }
const REPLAY: ReplayAnswer = { arrays: [{ name: 'joint_position', size: 1 }], width: 1, t_s: [0, 1], progress: [null, null], stages: [], rows: Float32Array.of(0, 10) }

const hub = (best: Best | null, replay: ReplayAnswer | null = REPLAY) => ({ best: async () => best, replay: async () => replay })

test('the best drive is found, and drawn at the same moment, if it is wanted', async () => {
  const beside = new Beside()
  await beside.ask(hub(BEST), 'mine', layout)
  expect([beside.found, beside.best]).toEqual(['found', BEST])
  expect(beside.values(0.5)?.[0]).toBeCloseTo(5)
  expect(beside.values(9)?.[0]).toBe(10)
  beside.wanted = false
  expect(beside.values(0.5)).toBeNull()
})

test('at rest nothing new is drawn', async () => {
  const beside = new Beside()
  await beside.ask(hub(BEST), 'mine', layout)
  expect(beside.values(0.5)).toBe(beside.values(0.5))
  expect(beside.values(0.6)).not.toBe(beside.values(0.5))
})

test.each([
  [hub(null), 'none'],
  [hub({ ...BEST, episode: 'mine' }), 'own'],
  [{ ...hub(null), best: () => Promise.reject(new Error('offline')) }, 'failed'],
] as const)('without another that is better, nothing is drawn: %#', async (api, found) => {
  const beside = new Beside()
  await beside.ask(api, 'mine', layout)
  expect([beside.found, beside.values(0)]).toEqual([found, null])
})

test('a hub that cannot show it still says how good it was', async () => {
  const beside = new Beside()
  await beside.ask(hub(BEST, null), 'mine', layout)
  expect([beside.found, beside.replay]).toEqual(['found', null])
})

test('an answer that comes after the next drive began is not shown', async () => {
  const beside = new Beside()
  const asked = beside.ask(hub(BEST), 'mine', layout)
  beside.clear()
  await asked
  expect([beside.found, beside.best, beside.replay]).toEqual(['unasked', null, null])
})
