// The best accepted drive from a like start, to look at beside one's own: who drove it, how well, and what it looked like.

import type { Api, Best } from '../account/api'
import type { Layout } from '../link/descriptor'
import { Replay } from '../view/replay.svelte'
import { framesOf } from '../view/rows'

/** `own`: one's own drive is the best; `none`: nobody has one yet. */
export type Found = 'unasked' | 'asking' | 'none' | 'own' | 'found' | 'failed'

export class Beside {
  found = $state<Found>('unasked')
  best = $state.raw<Best | null>(null)
  /** Its states, once they are here, if they can be drawn with this robot. */
  replay = $state.raw<Replay | null>(null)
  /** Whether it is wanted in the picture. */
  wanted = $state(true)
  #asked = 0
  /** What was drawn last: at rest, nothing is drawn again. */
  #drawn: { replay: Replay; atS: number; values: Float32Array | null } | null = null

  clear(): void {
    this.#asked += 1
    this.found = 'unasked'
    this.best = this.replay = null
  }

  /** Look for the best drive from a start like that of `episode`; drawn by `layout`, or not if there is none. */
  async ask(api: Pick<Api, 'best' | 'replay'>, episode: string, layout: Layout | null): Promise<void> {
    this.clear()
    const asked = this.#asked
    this.found = 'asking'
    const best = await api.best(episode).catch(() => undefined)
    if (asked !== this.#asked) return
    this.best = best ?? null
    this.found = best === undefined ? 'failed' : !best ? 'none' : best.episode === episode ? 'own' : 'found'
    if (this.found !== 'found' || !best || !layout) return
    const shown = await api.replay(best.episode).catch(() => null)
    if (asked === this.#asked && shown) this.replay = replayOf(framesOf(shown, layout), layout)
  }

  /** What to draw of it beside a drive that is shown at a moment, s from the first observation of each. */
  values(episodeS: number): Float32Array | null {
    const { wanted, replay } = this
    if (!wanted || !replay) return null
    if (this.#drawn?.replay !== replay || this.#drawn.atS !== episodeS) this.#drawn = { replay, atS: episodeS, values: replay.valuesAt(episodeS) }
    return this.#drawn.values
  }
}

/** A replay of these frames; null if there are none. */
export function replayOf(frames: ReturnType<typeof framesOf>, layout: Layout): Replay | null {
  if (!frames || frames.length === 0) return null
  const replay = new Replay(layout.quaternions)
  for (const frame of frames) replay.take(frame)
  return replay
}
