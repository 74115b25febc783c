// What a browser writes down of a drive while it is recorded, so that it can be gone on with, and when that is forgotten.

import type { Interrupted } from './interrupted.svelte'
import type { Kept, KeptDrives } from './kept'
import type { View } from '../drive/session'

/** How many steps there are between two notes of how long a drive is. */
const NOTE_STEPS = 20
/** Ways in which a page is gone and the drive is not: the hub keeps it for a while, or it goes on in another window. */
const AWAY: readonly (string | null)[] = ['connection_lost', 'failed', 'away', 'taken_over']

export class Notes {
  readonly #drives: Pick<KeptDrives, 'keep' | 'forget'>
  readonly #mark: Pick<Interrupted, 'recording' | 'over'>
  readonly #noted: () => Omit<Kept, 'atMs'> | null

  /** `noted` is what is needed to go on with this drive; null if there is nothing to go on with. */
  constructor(
    drives: Pick<KeptDrives, 'keep' | 'forget'>,
    mark: Pick<Interrupted, 'recording' | 'over'>,
    noted: () => Omit<Kept, 'atMs'> | null,
  ) {
    this.#drives = drives
    this.#mark = mark
    this.#noted = noted
  }

  /** So many steps are recorded now; `first` if they are the first. */
  recorded(steps: number, first: boolean): void {
    if (first) this.#mark.recording()
    if (first || steps % NOTE_STEPS === 0) this.write()
  }

  /** The drive that was left is this page's again. */
  back(): void {
    this.#mark.recording()
    this.write()
  }

  write(): void {
    const noted = this.#noted()
    if (noted) this.#drives.keep(noted)
  }

  /** An episode or the whole visit is over; `goneOnWith` is the lease of the drive that was come back to. */
  over(view: View, goneOnWith: string | null): void {
    this.#mark.over()
    if (view.lease && !AWAY.includes(view.closed)) this.#drives.forget(view.lease.id)
    if (goneOnWith !== null && view.fault?.code === 'lease_over') this.#drives.forget(goneOnWith)
  }
}
