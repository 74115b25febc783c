import { expect, test } from 'vitest'
import type { Sent } from '../commands/sent'
import type { Api, Arrival, Config, Episode } from './api'
import { arrived, seal } from './finish'
import type { Ours } from './manifest'
import type { Wallet } from './wallet'

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

const CONFIG = { chain_id: 31337, vault: '0x5FbDB2315678afecb367f032d93F642f64180aa3' } as Config
const WALLET = '0x5FbDB2315678afecb367f032d93F642f64180aa3'
const OURS: Ours = { episode: 'e1', operator: WALLET, sessionKey: '0xS', robot: WALLET, task: 'lift' }
const SENT: Sent = { episode: 'e1', epoch: 7, first: 1, from: 1, digests: new Uint8Array(32), width: 32, applied: 1, whole: true, over: true, foreign: false, atMs: 1 }

/** Of a hub that has the episode, which holds this one command: whether it is signed, and what is forgotten then. */
async function sealed(sha256: string): Promise<{ signed: string[]; forgotten: string[]; error: unknown }> {
  const manifest = {
    version: 2,
    episode: 'e1',
    robot: { address: WALLET },
    operator: { address: WALLET, session_key: '0xS' },
    task: { name: 'lift' },
    content_root: `0x${'be'.repeat(32)}`,
    started_ms: '1',
    ended_ms: '2',
    previous: `0x${'00'.repeat(32)}`,
    commands: [{ epoch: 7, seq: 1, sha256 }],
  }
  const [signed, forgotten]: [string[], string[]] = [[], []]
  const api = {
    arrival: async () => at(100, 'uploaded'),
    manifest: async () => new TextEncoder().encode(JSON.stringify(manifest)),
    sign: async (episode: string) => (signed.push(episode), { state: 'held', reason: '' } as Episode),
  } as unknown as Api
  const ledgers = { sent: { of: () => [SENT], forget: (episode: string) => void forgotten.push(episode) }, agreed: true }
  const session = { signTyped: async () => '0x' } as unknown as Wallet
  const error = await seal(api, CONFIG, session, OURS, ledgers, () => null).catch((error: unknown) => error)
  return { signed, forgotten, error }
}

test('what was sent is signed, and forgotten then, although the hub cannot check it at the moment', async () => {
  expect(await sealed('00'.repeat(32))).toMatchObject({ signed: ['e1'], forgotten: ['e1'], error: { code: 'held' } })
})

test('what was not sent is not signed, and still known', async () => {
  expect(await sealed('ab'.repeat(32))).toMatchObject({ signed: [], forgotten: [], error: { code: 'commands_differ' } })
})
