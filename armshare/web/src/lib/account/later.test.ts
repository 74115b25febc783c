import { beforeEach, expect, test } from 'vitest'
import { hashTypedData, recoverAddress, type Hex } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import { storage } from '../storage.testing'
import type { Config, Episode, Unsigned } from './api'
import { signLater } from './later'
import { statement, type Manifest } from './manifest'
import { sessionKey } from './sessionkey'
import { typedData } from './typed'
import { keyWallet } from './wallet'

const CONFIG = { chain_id: 31337, vault: '0x5FbDB2315678afecb367f032d93F642f64180aa3' } as Config
const [WALLET, MALLORY] = [keyWallet(generatePrivateKey()), keyWallet(generatePrivateKey())]
const NONCE = `0x${'01'.repeat(32)}`
const SESSION = (await sessionKey(CONFIG, WALLET, NONCE)).address
const ROBOT = keyWallet(generatePrivateKey()).address
const UNSIGNED = { episode: 'e1', robot: ROBOT, task: 'lift', state: 'uploaded' } as Unsigned

beforeEach(() => {
  Object.assign(globalThis, { localStorage: storage() })
})

async function manifest(change: object = {}, by = WALLET, granted: object = {}): Promise<Manifest> {
  const values = { operator: WALLET.address, sessionKey: SESSION, robot: ROBOT, task: 'lift', nonce: NONCE, notAfterMs: '1800000000000', ...granted }
  const data = typedData(CONFIG, 'SessionGrant', { ...values, notAfterMs: BigInt(values.notAfterMs) })
  return {
    episode: 'e1',
    robot: { address: ROBOT },
    operator: { address: WALLET.address, session_key: SESSION },
    grant: { values, signature: await by.signTyped(data) },
    task: { name: 'lift' },
    steps: 10,
    success: true,
    valid: true,
    content_root: `0x${'be'.repeat(32)}`,
    started_ms: '1700000000000',
    ended_ms: '1700000009000',
    previous: `0x${'00'.repeat(32)}`,
    ...change,
  }
}

/** A hub that gives out that manifest, and keeps what it is handed. */
function hub(said: Manifest) {
  const bytes = new TextEncoder().encode(JSON.stringify(said))
  const signatures: string[] = []
  const sign = async (_: string, signature: string) => {
    signatures.push(signature)
    return { receipt: { log_index: 0, signature: '0x', episode: 'e1' } as unknown } as Episode
  }
  return { bytes, signatures, api: { manifest: async () => bytes, sign } }
}

test('the wallet makes its session key again, which signs the digest', async () => {
  const said = await manifest()
  const { api, bytes, signatures } = hub(said)
  await signLater(api, CONFIG, WALLET, UNSIGNED)
  const hash = hashTypedData(typedData(CONFIG, 'Episode', statement(bytes, said)))
  expect(await recoverAddress({ hash, signature: signatures[0] as Hex })).toBe(SESSION)
})

test('an episode of a session key that the wallet does not make is not signed, and why is said', async () => {
  const random = keyWallet(generatePrivateKey()).address
  const said = await manifest({ operator: { address: WALLET.address, session_key: random } }, WALLET, { sessionKey: random })
  const { api, signatures } = hub(said)
  await expect(signLater(api, CONFIG, WALLET, UNSIGNED)).rejects.toThrow('cannot make again')
  expect(signatures).toEqual([])
})

test.each([
  ['that another wallet granted', () => manifest({}, MALLORY)],
  ['without a grant', () => manifest({ grant: undefined })],
  ['of another session key than was granted', () => manifest({ operator: { address: WALLET.address, session_key: ROBOT } })],
  ['of another wallet', () => manifest({ operator: { address: MALLORY.address, session_key: SESSION } })],
  ['of another robot', () => manifest({ robot: { address: SESSION } })],
  ['of another task', () => manifest({ task: { name: 'push' } })],
  ['that was granted for another robot', () => manifest({}, WALLET, { robot: SESSION })],
  ['that was granted for another task', () => manifest({}, WALLET, { task: 'push' })],
  ['of another episode', () => manifest({ episode: 'e2' })],
])('a manifest %s is never signed', async (_, made) => {
  const { api, signatures } = hub(await made())
  await expect(signLater(api, CONFIG, WALLET, UNSIGNED)).rejects.toThrow('not signed')
  expect(signatures).toEqual([])
})
