// The key that signs a visit's episodes: made with its grant, or made again by the wallet for a drive that goes on.

import type { Account } from '../account/account.svelte'
import { sessionKeyAgain } from '../account/sessionkey'
import type { Wallet } from '../account/wallet'
import { PlainError } from '../trouble'
import type { Kept } from '../returning/kept'

type Noted = Pick<Kept, 'nonce' | 'sessionKey'>

export class Signer {
  readonly #account: Pick<Account, 'config' | 'wallet'>
  #noted: Noted | null
  #key: Wallet | null = null

  /** `kept`: the drive that goes on. */
  constructor(account: Pick<Account, 'config' | 'wallet'>, kept: Noted | null) {
    this.#account = account
    this.#noted = kept
  }

  /** What may be written down, so that the key can be made again; null before there is a grant. */
  get noted(): Noted | null {
    return this.#noted && { nonce: this.#noted.nonce, sessionKey: this.#noted.sessionKey }
  }

  /** This page drives under a grant of its own. */
  granted(nonce: string, key: Wallet): void {
    this.#noted = { nonce, sessionKey: key.address }
    this.#key = key
  }

  /** A wallet that this browser keeps makes it silently; any other is asked once while this page is open. */
  async key(): Promise<Wallet> {
    if (this.#key) return this.#key
    const { config, wallet } = this.#account
    const { nonce, sessionKey } = this.#noted ?? {}
    if (!config || !wallet || !nonce || !sessionKey)
      throw new PlainError('This page did not drive this episode. You can sign it in the lobby.', 'lobby')
    this.#key = await sessionKeyAgain(config, wallet, nonce, sessionKey)
    return this.#key
  }
}
