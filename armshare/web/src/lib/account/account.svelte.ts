// Who is signed in here, and what the hub is: the one state that every page shares.

import { Api, ApiError, type Balance, type Config, type Operator, type SignedIn } from './api'
import { PlainError, type Trouble, troubleOf } from '../trouble'
import { injected, keptKey, throwaway, type Wallet } from './wallet'

const KEPT = 'armshare.sign-in'

type KeptSignIn = SignedIn & { kind: Wallet['kind'] }

export class Account {
  readonly api = new Api()
  config = $state.raw<Config | null>(null)
  wallet = $state.raw<Wallet | null>(null)
  balance = $state.raw<Balance | null>(null)
  /** Whether this wallet is paid already, and what its first drive must show. */
  operator = $state.raw<Operator | null>(null)
  /** Whether the first look at what is kept here is over. */
  ready = $state(false)
  /** Why the hub cannot be used. */
  trouble = $state.raw<Trouble | null>(null)

  /** Read the hub's settings and come back as whoever was here last. */
  async start(): Promise<void> {
    await Promise.all([this.#loadConfig(), this.#resume()])
    this.ready = true
  }

  async signIn(wallet: Wallet): Promise<void> {
    const { nonce, message } = await this.api.challenge(wallet.address)
    if (!message.includes(wallet.address))
      throw new PlainError('The hub asked for a signature that is no sign-in, so nothing was signed. Do not use this hub.')
    const signed = await this.api.verify(nonce, await wallet.signText(message))
    localStorage.setItem(KEPT, JSON.stringify({ ...signed, kind: wallet.kind } satisfies KeptSignIn))
    this.#enter(wallet, signed.token)
  }

  async signOut(): Promise<void> {
    await this.api.signOut().catch(() => null)
    this.#forget()
  }

  /** After the sign-in has run out: a new one, or if that cannot be had, the page where one signs in. */
  async signInAgain(): Promise<void> {
    const { wallet } = this
    if (wallet) await this.signIn(wallet).catch(() => this.#forget())
  }

  async refreshBalance(): Promise<void> {
    if (this.wallet) this.balance = await this.api.balance(this.wallet.address)
  }

  async refreshOperator(): Promise<void> {
    if (this.wallet) this.operator = await this.api.operator(this.wallet.address)
  }

  /** A 401 means that the sign-in ran out: make a new one. */
  async renewed<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 401 && this.wallet)) throw error
      await this.signIn(this.wallet)
      return work()
    }
  }

  async #loadConfig(): Promise<void> {
    try {
      this.config = await this.api.config()
      this.trouble = null
    } catch (error) {
      this.trouble = troubleOf(error)
      setTimeout(() => void this.#loadConfig(), 2000)
    }
  }

  async #resume(): Promise<void> {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? 'null') as KeptSignIn | null
    if (!kept || kept.expires_ms < Date.now()) return
    const key = keptKey()
    const wallet = kept.kind === 'injected' ? await injected(false).catch(() => null) : key ? throwaway(key) : null
    if (wallet?.address === kept.address) this.#enter(wallet, kept.token)
  }

  #enter(wallet: Wallet, token: string): void {
    this.api.token = token
    this.wallet = wallet
    void this.refreshBalance().catch(() => null)
    void this.refreshOperator().catch(() => null)
  }

  #forget(): void {
    localStorage.removeItem(KEPT)
    this.api.token = null
    this.wallet = null
    this.balance = null
    this.operator = null
  }
}

export const account = new Account()
