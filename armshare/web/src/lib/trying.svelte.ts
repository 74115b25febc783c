// Something that a button began and that may fail: whether it goes on, and why it failed, for the part of the page to say.

import { type Trouble, troubleOf } from './trouble'

export class Trying {
  busy = $state(false)
  trouble = $state.raw<Trouble | null>(null)

  async run(work: () => Promise<void>): Promise<void> {
    this.busy = true
    this.trouble = null
    try {
      await work()
    } catch (error) {
      this.trouble = troubleOf(error)
    } finally {
      this.busy = false
    }
  }
}
