import { expect, test } from 'vitest'
import { generatePrivateKey } from 'viem/accounts'
import type { Config } from '../account/api'
import { sessionKey } from '../account/sessionkey'
import type { TypedData } from '../account/typed'
import { keyWallet, type Wallet } from '../account/wallet'
import { Signer } from './signer'

const CONFIG = { chain_id: 31337, vault: '0x5FbDB2315678afecb367f032d93F642f64180aa3' } as Config
const SECRET = generatePrivateKey()
const NONCE = `0x${'01'.repeat(32)}`
const MADE = await sessionKey(CONFIG, keyWallet(SECRET), NONCE)
const KEPT = { nonce: NONCE, sessionKey: MADE.address }

/** The wallet as a page finds it that was just loaded; it counts how often it is asked. */
function loaded(secret = SECRET) {
  const asked: TypedData[] = []
  const own = keyWallet(secret)
  const wallet: Wallet = { ...own, signTyped: (data) => (asked.push(data), own.signTyped(data)) }
  return { asked, account: { config: CONFIG, wallet } }
}

test('the wallet makes the key of a drive that goes on again, and is asked once', async () => {
  const { asked, account } = loaded()
  const signer = new Signer(account, KEPT)
  expect((await signer.key()).key).toBe(MADE.key)
  await signer.key()
  expect(asked.map((data) => data.primaryType)).toEqual(['SessionSeed'])
})

test('what is written down of a drive holds no secret', async () => {
  const { account } = loaded()
  const signer = new Signer(account, null)
  expect(signer.noted).toBeNull()
  signer.granted(NONCE, MADE)
  expect(signer.noted).toEqual(KEPT)
  expect(JSON.stringify(signer.noted)).not.toContain(MADE.key as string)
  expect(await signer.key()).toBe(MADE)
})

test('what goes on is written down as it was, and no more of it', () => {
  const { account } = loaded()
  const whole = { ...KEPT, lease: 'L1', robot: '0xR', task: 'lift', operator: '0xA', seconds: 3, atMs: 1 }
  expect(new Signer(account, whole).noted).toEqual(KEPT)
})

test('a wallet that makes another key than the one that was granted is told so', async () => {
  const { account } = loaded(generatePrivateKey())
  await expect(new Signer(account, KEPT).key()).rejects.toThrow('cannot make again')
})

test.each([[null], [{ nonce: null, sessionKey: null }]])('without the nonce of its grant there is no key, and the lobby is named: %j', async (kept) => {
  const { account, asked } = loaded()
  await expect(new Signer(account, kept).key()).rejects.toMatchObject({ todo: 'lobby' })
  expect(asked).toEqual([])
})

test('a wallet that did not agree is asked again', async () => {
  const own = keyWallet(SECRET)
  let agrees = false
  const wallet: Wallet = { ...own, signTyped: (data) => (agrees ? own.signTyped(data) : Promise.reject(new Error('no'))) }
  const signer = new Signer({ config: CONFIG, wallet }, KEPT)
  await expect(signer.key()).rejects.toThrow('no')
  agrees = true
  expect((await signer.key()).address).toBe(MADE.address)
})
