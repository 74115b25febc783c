import { beforeEach, expect, test } from 'vitest'
import { hashTypedData, recoverAddress, type Hex } from 'viem'
import { generatePrivateKey } from 'viem/accounts'
import { SentCommands, type Sent } from '../commands/sent'
import { bytesOf, hexOf } from '../commands/digests'
import { Chain } from '../link/chain'
import { encodeCommand } from '../link/wire'
import { storage } from '../storage.testing'
import type { Config, Episode, Unsigned } from './api'
import type { Ledgers } from './finish'
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

const EPOCH = 7
/** The bytes of what this browser sent, as their hashes, in hex. */
const HASHES = ((chain) =>
  Array.from({ length: 5 }, (_, i) => {
    const head = { epoch: EPOCH, seq: i + 1, seen: i, tClientUs: BigInt(33_000 * i), before: chain.before }
    chain.push(encodeCommand({ ...head, mode: 'ee_twist', deadMan: true, values: [i / 10, 0, 0, 0, 0, 0, 1] }))
    return hexOf(chain.before)
  }))(new Chain())
const LAST = { epoch: EPOCH, seq: 5, sha256: HASHES[4] as string }
const SENT: Sent = { episode: 'e1', epoch: EPOCH, first: 1, from: 1, digests: bytesOf(HASHES.join('')), width: 32, applied: 4, whole: true, over: true, foreign: false, atMs: 1 }

/** A browser that sent it, or as much of it as a test says. */
function browser(agreed = false, ...sent: Sent[]): Ledgers & { sent: SentCommands } {
  const known = new SentCommands(storage())
  for (const each of sent) known.keep(each)
  return { sent: known, agreed }
}

beforeEach(() => {
  Object.assign(globalThis, { localStorage: storage() })
})

async function manifest(change: object = {}, by = WALLET, granted: object = {}): Promise<Manifest> {
  const values = { operator: WALLET.address, sessionKey: SESSION, robot: ROBOT, task: 'lift', nonce: NONCE, notAfterMs: '1800000000000', ...granted }
  const data = typedData(CONFIG, 'SessionGrant', { ...values, notAfterMs: BigInt(values.notAfterMs) })
  return {
    version: 2,
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
    commands: [LAST],
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
  await signLater(api, CONFIG, WALLET, UNSIGNED, browser(false, SENT))
  const hash = hashTypedData(typedData(CONFIG, 'Episode', statement(bytes, said)))
  expect(await recoverAddress({ hash, signature: signatures[0] as Hex })).toBe(SESSION)
})

test('an episode of a session key that the wallet does not make is not signed, and why is said', async () => {
  const random = keyWallet(generatePrivateKey()).address
  const said = await manifest({ operator: { address: WALLET.address, session_key: random } }, WALLET, { sessionKey: random })
  const { api, signatures } = hub(said)
  await expect(signLater(api, CONFIG, WALLET, UNSIGNED, browser(false, SENT))).rejects.toThrow('cannot make again')
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
  await expect(signLater(api, CONFIG, WALLET, UNSIGNED, browser(true, SENT))).rejects.toThrow('not signed')
  expect(signatures).toEqual([])
})

const OTHER = { ...LAST, sha256: HASHES[3] as string }
test.each([
  ['whose last command is another than was sent', { commands: [OTHER] }, [SENT], 'commands_differ'],
  ['with an epoch more than was driven', { commands: [LAST, { ...OTHER, epoch: EPOCH + 1 }] }, [SENT], 'commands_differ'],
  ['of version 1, that was driven here', { version: 1, commands: undefined }, [SENT], 'commands_missing'],
  ['in which the robot obeyed others', {}, [{ ...SENT, foreign: true }], 'other_commands'],
])('an episode %s is not signed, whatever its operator agrees to, and can still be discarded', async (_, change, sent, code) => {
  for (const agreed of [false, true]) {
    const { api, signatures } = hub(await manifest(change))
    const ledgers = browser(agreed, ...sent)
    await expect(signLater(api, CONFIG, WALLET, UNSIGNED, ledgers)).rejects.toMatchObject({ code })
    expect(signatures).toEqual([])
    expect(ledgers.sent.of('e1')).toEqual(sent)
  }
})

test.each([
  ['that another browser drove', {}, []],
  ['of version 1, that was not driven here', { version: 1, commands: undefined }, []],
])('an episode %s is signed once its operator agrees', async (_, change, sent) => {
  const { api, signatures } = hub(await manifest(change))
  await expect(signLater(api, CONFIG, WALLET, UNSIGNED, browser(false, ...sent))).rejects.toMatchObject({ code: 'commands_unseen' })
  expect(signatures).toEqual([])
  await signLater(api, CONFIG, WALLET, UNSIGNED, browser(true, ...sent))
  expect(signatures).toHaveLength(1)
})

test('what was sent is forgotten once it is signed', async () => {
  const { api } = hub(await manifest())
  const ledgers = browser(false, SENT, { ...SENT, episode: 'e2' })
  await signLater(api, CONFIG, WALLET, UNSIGNED, ledgers)
  expect(ledgers.sent.of('e1')).toEqual([])
  expect(ledgers.sent.of('e2')).toHaveLength(1)
})
