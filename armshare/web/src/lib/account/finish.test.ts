import { expect, test } from 'vitest'
import type { Arrival } from './api'
import { arrived } from './finish'

const at = (received: number, state = 'recording'): Arrival => ({ episode: 'e1', state, received, length: 100 })

/** A hub that has a bit more of the episode at each question, and its manifest at the end. */
function hub(...coming: Arrival[]) {
  return { arrival: async () => coming.shift() as Arrival, manifest: async () => Uint8Array.of(1) }
}

test('a slow uplink is waited for, and its progress told', async () => {
  const arrivals = Array.from({ length: 50 }, (_, i) => at(2 * i))
  const told: number[] = []
  const bytes = await arrived(hub(...arrivals, at(100, 'uploaded')), 'e1', (arrival) => told.push(arrival.received))
  expect(bytes).toEqual(Uint8Array.of(1))
  expect(told).toEqual(arrivals.map((arrival) => arrival.received))
})

test('an episode that was discarded meanwhile is not waited for', async () => {
  const waiting = arrived(hub(at(10), at(20, 'discarded'), at(30)), 'e1', () => null)
  await expect(waiting).rejects.toMatchObject({ code: 'episode_state' })
})

test('an episode that the hub refused as it came is not waited for, and the gate is told', async () => {
  const refused = { ...at(20, 'rejected'), reason: 'TicketMismatch: expected the seed 7: got 8' }
  const waiting = arrived(hub(at(10), refused, at(30)), 'e1', () => null)
  await expect(waiting).rejects.toMatchObject({ code: 'TicketMismatch', message: 'expected the seed 7: got 8' })
})
