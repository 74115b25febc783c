// The other windows of this browser: whether one of them has a robot, and what is needed to take its drive over.

import { holdsLease, type View } from '../drive/session'
import type { Kept } from './kept'

/** How long another window has to answer, ms; one in the background answers, too. */
const ANSWER_MS = 250

/** What another window has of a robot: it drives, holds it between two drives, or waits for it. */
export interface Elsewhere {
  doing: 'driving' | 'holding' | 'waiting'
  /** The drive that can be taken over. */
  drive: Kept | null
}

/** What this window has, by its own session; `noted` is what is needed to take its drive over. */
export function hereOf(view: View | null, noted: () => Omit<Kept, 'atMs'> | null): Elsewhere | null {
  if (view?.phase === 'queued') return { doing: 'waiting', drive: null }
  if (!view || !holdsLease(view)) return null
  if (view.phase !== 'live') return { doing: 'holding', drive: null }
  const drive = noted()
  return { doing: 'driving', drive: drive && { ...drive, atMs: Date.now() } }
}

/** A window asks who has a robot with a wallet; the one that has it answers. */
type Said = { asks: string; robot: string; operator: string } | { answers: string; found: Elsewhere }

export class Windows {
  readonly #name: string

  constructor(name = 'armshare.windows') {
    this.#name = name
  }

  /** Answer the other windows from now on; `found` is what this one has. Returns what ends it. */
  answer(found: (robot: string, operator: string) => Elsewhere | null): () => void {
    const channel = new BroadcastChannel(this.#name)
    channel.onmessage = ({ data }: MessageEvent<Said>) => {
      const here = 'asks' in data && found(data.robot, data.operator)
      if (here) channel.postMessage({ answers: data.asks, found: here } satisfies Said)
    }
    return () => channel.close()
  }

  /** What another window has of a robot; null if none has it. */
  ask(robot: string, operator: string): Promise<Elsewhere | null> {
    const channel = new BroadcastChannel(this.#name)
    const asks = crypto.randomUUID?.() ?? `${Math.random()}`
    const answered = new Promise<Elsewhere | null>((resolve) => {
      channel.onmessage = ({ data }: MessageEvent<Said>) => 'answers' in data && data.answers === asks && resolve(data.found)
      setTimeout(() => resolve(null), ANSWER_MS)
    })
    channel.postMessage({ asks, robot, operator } satisfies Said)
    return answered.finally(() => channel.close())
  }
}

export const windows = new Windows()
