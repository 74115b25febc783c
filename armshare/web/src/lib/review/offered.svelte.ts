// Whether the menu offers to review: only to a wallet that the hub asks. An older hub has no such page.

import { account } from '../account/account.svelte'
import type { Standing } from './reviewing.svelte'

class Offered {
  may = $state(false)
  #address = ''

  /** Ask once for each wallet that signs in. */
  async ask(address: string | null): Promise<void> {
    if (address === this.#address) return
    this.#address = address ?? ''
    this.may = false
    if (!address) return
    const found = await account.api.ask<Standing>('GET', '/api/reviews').catch(() => null)
    if (this.#address === address) this.may = found?.may === true
  }
}

export const offered = new Offered()
