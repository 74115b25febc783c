// Who is signed in here, and what the hub is: the one state that every page shares.

import { Api, ApiError, type Balance, type Config, type Operator, type SignedIn } from './api'
import { PlainError, type Trouble, troubleOf } from '../trouble'
import { injected, keyWallet, makeKey, type Wallet } from './wallet'
import { type Stored, Wallets } from './wallets'

const KEPT = 'armshare.sign-in'

type KeptSignIn = SignedIn & { kind: Wallet['kind'] }

export class Account {
  readonly api = new Api()
  readonly wallets: Wallets
  config = $state.raw<Config | null>(null)
  wallet = $state.raw<Wallet | null>(null)
  balance = $state.raw<Balance | null>(null)
  /** Whether this wallet is paid already, and what its first drive must show. */
  operator = $state.raw<Operator | null>(null)
  /** Whether the first look at what is kept here is over. */
  ready = $state(false)
  /** Why the hub cannot be used. */
  trouble = $state.raw<Trouble | null>(null)
  /** The throw-away wallets of this browser. */
  stored = $state.raw<Stored[]>([])
  /** Wallets of this browser whose keys are gone. */
  lost = $state.raw<string[]>([])
  /** Whose sign-in ran out, and could not be renewed without them. */
  expired = $state.raw<Pick<KeptSignIn, 'address' | 'kind'> | null>(null)

  constructor(wallets: Wallets) {
    this.wallets = wallets
  }

  /** Read the hub's settings and come back as whoever was here last. */
  async start(): Promise<void> {
    this.look()
    await Promise.all([this.#loadConfig(), this.#resume()])
    this.ready = true
  }

  /** See which wallets this browser keeps now: another tab may have changed that, or somebody cleared its data. */
  look(): void {
    const [stored, lost] = [this.wallets.list(), this.wallets.lost()]
    if (!same(stored, this.stored)) this.stored = stored
    if (!same(lost, this.lost)) this.lost = lost
  }

  /** The wallet that is signed in has its key in this page alone: this browser's data was cleared. */
  get keyless(): boolean {
    const { wallet } = this
    return wallet !== null && wallet.key !== null && !this.stored.some((each) => each.address === wallet.address)
  }

  /** Keep the key in this browser, beside the others, and sign in with it. */
  async enter(key: string = makeKey()): Promise<void> {
    const { address } = this.wallets.add(key)
    this.look()
    await this.use(address)
  }

  /** Sign in with a wallet that this browser keeps. */
  async use(address: string): Promise<void> {
    const stored = this.wallets.find(address)
    if (!stored) throw new PlainError('The key of this wallet is not in this browser any more. Import it.')
    await this.signIn(keyWallet(stored.key))
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
    if (!wallet) return
    const { address, kind } = wallet
    await this.signIn(wallet).catch(() => {
      this.#forget()
      this.expired = { address, kind }
    })
  }

  /** Whether a new sign-in needs nobody's hand: the key is in this page. */
  get renews(): boolean {
    return this.wallet?.kind === 'throwaway'
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
    const kept = read()
    if (!kept) return
    const wallet = await this.#kept(kept)
    if (wallet?.address === kept.address && kept.expires_ms > Date.now()) return this.#enter(wallet, kept.token)
    // A key that is here signs again by itself; whoever has another wallet is asked.
    if (wallet?.kind === 'throwaway') await this.signIn(wallet).catch(() => (this.expired = kept))
    else if (kept.kind === 'injected') this.expired = kept
  }

  async #kept(kept: KeptSignIn): Promise<Wallet | null> {
    if (kept.kind === 'injected') return injected(false).catch(() => null)
    const stored = this.wallets.find(kept.address)
    return stored ? keyWallet(stored.key) : null
  }

  #enter(wallet: Wallet, token: string): void {
    this.api.token = token
    this.wallet = wallet
    this.balance = this.operator = this.expired = null
    void this.refreshBalance().catch(() => null)
    void this.refreshOperator().catch(() => null)
  }

  #forget(): void {
    localStorage.removeItem(KEPT)
    this.api.token = null
    this.wallet = this.balance = this.operator = null
  }
}

const same = (one: unknown, other: unknown): boolean => JSON.stringify(one) === JSON.stringify(other)

function read(): KeptSignIn | null {
  try {
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Partial<KeptSignIn> | null
    return kept && typeof kept.address === 'string' && typeof kept.token === 'string' ? (kept as KeptSignIn) : null
  } catch {
    return null
  }
}

export const account = new Account(new Wallets(localStorage, document))
