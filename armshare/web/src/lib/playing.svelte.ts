// Whether films play by themselves: not for those who want less motion, nor where drawing is done by the processor; and a
// person's own choice is kept.

import { drawsBySoftware } from './view/graphics'

const KEPT = 'armshare.researcher.films'

class Playing {
  #chosen = $state(localStorage.getItem(KEPT))
  readonly #still = matchMedia('(prefers-reduced-motion: reduce)')
  readonly #slow = drawsBySoftware()

  get on(): boolean {
    return this.#chosen === null ? !this.#still.matches && !this.#slow : this.#chosen === 'on'
  }

  toggle(): void {
    this.#chosen = this.on ? 'off' : 'on'
    localStorage.setItem(KEPT, this.#chosen)
  }
}

export const playing = new Playing()
