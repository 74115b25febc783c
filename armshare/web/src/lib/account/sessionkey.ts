// The key that signs what is driven under one grant (`teleop/PROTOCOL.md`, "The session key"): only the wallet can make it,
// and it makes the same one again, so that an episode can be signed after this page was closed.

import { concat, type Hex, keccak256, slice } from 'viem'
import { PlainError } from '../trouble'
import { type DomainOf, typedData } from './typed'
import { keyWallet, type Wallet } from './wallet'

const PURPOSE = 'To make the keys that sign what you drive. Sign this only where you drive robots.'

/** Each wallet is asked once while this page is open; kept in memory only. */
const seeds = new WeakMap<Wallet, Promise<Hex>>()

export async function sessionKey(domain: DomainOf, wallet: Wallet, nonce: string): Promise<Wallet> {
  const seed = seeds.get(wallet) ?? seedOf(domain, wallet)
  seeds.set(wallet, seed)
  seed.catch(() => seeds.delete(wallet)) // the wallet did not agree: ask it again the next time
  return keyWallet(keccak256(concat([await seed, nonce as Hex])))
}

/** The key of a grant that was given earlier, made again; PlainError if the wallet makes another one now. */
export async function sessionKeyAgain(domain: DomainOf, wallet: Wallet, nonce: string, address: string): Promise<Wallet> {
  const key = await sessionKey(domain, wallet, nonce)
  if (key.address !== address)
    throw new PlainError('This drive was made with a key that your wallet cannot make again. Only the page or program that drove it can sign it; you can discard it.', 'lobby')
  return key
}

async function seedOf(domain: DomainOf, wallet: Wallet): Promise<Hex> {
  const signature = await wallet.signTyped(typedData(domain, 'SessionSeed', { operator: wallet.address, purpose: PURPOSE }))
  return slice(signature as Hex, 0, 64)
}
