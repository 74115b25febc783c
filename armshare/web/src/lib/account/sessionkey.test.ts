import type { Hex } from 'viem'
import { expect, test } from 'vitest'
import golden from '../../../../../tests/teleop/golden_session_key.json'
import { sessionKey } from './sessionkey'
import type { TypedData } from './typed'
import { keyWallet, type Wallet } from './wallet'

const NONCE = `0x${'01'.repeat(32)}`

test('a wallet makes the session key that Python makes, and makes it again', async () => {
  for (let i = 0; i < 2; i++) {
    const made = await sessionKey(golden.domain, keyWallet(golden.wallet as Hex), golden.nonce)
    expect(made.address).toBe(golden.session_key)
  }
})

test('every session has a key of its own, and the wallet is asked once', async () => {
  const wallet = keyWallet(golden.wallet as Hex)
  const asked: TypedData[] = []
  const asking: Wallet = { ...wallet, signTyped: (data) => (asked.push(data), wallet.signTyped(data)) }
  const made = await Promise.all([golden.nonce, NONCE].map((nonce) => sessionKey(golden.domain, asking, nonce)))
  expect(made[0]?.address).not.toBe(made[1]?.address)
  expect(asked.map((data) => data.message['purpose'])).toEqual([expect.stringContaining('only where you drive robots')])
})

test('a wallet that did not agree is asked again', async () => {
  const wallet = keyWallet(golden.wallet as Hex)
  let agrees = false
  const asking: Wallet = { ...wallet, signTyped: (data) => (agrees ? wallet.signTyped(data) : Promise.reject(new Error('no'))) }
  await expect(sessionKey(golden.domain, asking, golden.nonce)).rejects.toThrow('no')
  agrees = true
  expect((await sessionKey(golden.domain, asking, golden.nonce)).address).toBe(golden.session_key)
})
