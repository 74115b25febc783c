// Whose signature counts: a throw-away key kept in this browser (`wallets.ts`), or a wallet that the browser brings.

import { getAddress, type Hex } from 'viem'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { PlainError } from '../trouble'
import { walletJson, type TypedData } from './typed'

export interface Wallet {
  kind: 'throwaway' | 'injected'
  address: string
  /** The private key; null if only the wallet itself has it. */
  key: Hex | null
  signText(text: string): Promise<string>
  signTyped(data: TypedData): Promise<string>
}

interface Provider {
  request(call: { method: string; params?: unknown[] }): Promise<unknown>
}

declare global {
  interface Window {
    ethereum?: Provider
  }
}

/** The wallet could not be used; the message says what to do, to a person. */
export class WalletError extends PlainError {
  override name = 'WalletError'
}

export const hasInjected = (): boolean => typeof window.ethereum?.request === 'function'
export const makeKey = (): Hex => generatePrivateKey()

/** A wallet made of a key alone; also signs for one session. */
export function keyWallet(key: Hex): Wallet {
  let account
  try {
    account = privateKeyToAccount(key)
  } catch (error) {
    throw new WalletError('This number is not a private key. Check that you copied all of it.', 'try_again', error)
  }
  return {
    kind: 'throwaway',
    address: account.address,
    key,
    signText: (text) => account.signMessage({ message: text }),
    signTyped: (data) => account.signTypedData(data),
  }
}

/** Ask the browser's wallet; `ask` false only looks whether it already agreed. */
export async function injected(ask: boolean): Promise<Wallet> {
  const provider = window.ethereum
  if (!provider) throw new WalletError('This browser has no wallet. Install one, or make a throw-away wallet here.')
  const call = (method: string, params: unknown[] = []) =>
    provider.request({ method, params }).catch((error: unknown) => {
      throw new WalletError('Your wallet did not agree. Open it, and try again.', 'try_again', error)
    })
  const accounts = (await call(ask ? 'eth_requestAccounts' : 'eth_accounts')) as string[]
  if (!accounts[0]) throw new WalletError('The wallet shared no account. Unlock it and allow this page.')
  const address = getAddress(accounts[0])
  return {
    kind: 'injected',
    address,
    key: null,
    signText: async (text) => String(await call('personal_sign', [textHex(text), address])),
    signTyped: async (data) => {
      await followChain(provider, Number(data.domain.chainId))
      return String(await call('eth_signTypedData_v4', [address, walletJson(data)]))
    },
  }
}

const textHex = (text: string): string =>
  `0x${Array.from(new TextEncoder().encode(text), (byte) => byte.toString(16).padStart(2, '0')).join('')}`

/** Some wallets sign only for the chain that they are on. One that cannot follow says why when it is asked to sign. */
async function followChain(provider: Provider, chainId: number): Promise<void> {
  const chain = `0x${chainId.toString(16)}`
  const current = await provider.request({ method: 'eth_chainId' }).catch(() => chain)
  if (current === chain) return
  await provider.request({ method: 'wallet_switchEthereumChain', params: [{ chainId: chain }] }).catch(() => null)
}
