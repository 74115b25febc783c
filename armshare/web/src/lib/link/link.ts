// The page's end of the worker that owns the socket.

import { hubSocket } from '../hub'
import type { Health } from './connection'
import type { Intent } from '../hands/input'
import type { BaseSpeeds } from '../hands/twist'
import type { State } from './wire'

export type ToLink =
  | { type: 'open'; url: string }
  | { type: 'text'; text: string }
  | { type: 'lease'; epoch: number; hands: number; base: BaseSpeeds | null }
  | { type: 'over' }
  /** `number` counts the intents. */
  | { type: 'intent'; intent: Intent; number: number }
  | { type: 'openings'; openings: number[] }
  | { type: 'shown'; seq: number }
  /** Say nothing more to the robot for now, or go on. */
  | { type: 'hush'; hushed: boolean }
  | { type: 'close' }

export type FromLink =
  | { type: 'open' }
  | { type: 'text'; text: string }
  /** `atMs` counts from the Unix epoch, monotonic within the page. */
  | { type: 'state'; state: State; atMs: number }
  /** Command `seq` was the first that said intent `number`, which asked for something else than the one before. */
  | { type: 'sent'; number: number; seq: number }
  | { type: 'health'; health: Health }
  /** No state came for too long, so the robot was let go. */
  | { type: 'blind' }
  /** The robot obeyed a command that was not sent from here. */
  | { type: 'foreign' }
  /** What was sent: the number of the first of these commands, and the SHA-256 of each. Told before anything later is. */
  | { type: 'commands'; epoch: number; from: number; digests: Uint8Array }
  /** No command is sent from now on, and all that were have been told. */
  | { type: 'silent' }
  | { type: 'malformed'; message: string }
  | { type: 'closed' }

export class Link {
  readonly #worker = new Worker(new URL('./link.worker.ts', import.meta.url), { type: 'module' })
  readonly #hear: (message: FromLink) => void

  constructor(path: string, hear: (message: FromLink) => void) {
    this.#hear = hear
    this.#worker.onmessage = ({ data }: MessageEvent<FromLink>) => hear(data)
    this.tell({ type: 'open', url: hubSocket(path) })
  }

  tell(message: ToLink): void {
    this.#worker.postMessage(message)
  }

  /** Close the socket and end the worker once what was said has had time to leave; what was sent is still told. */
  close(): void {
    this.#worker.onmessage = ({ data }: MessageEvent<FromLink>) => {
      if (data.type === 'commands' || data.type === 'silent') this.#hear(data)
      if (data.type === 'closed') this.#worker.terminate()
    }
    this.tell({ type: 'close' })
    setTimeout(() => this.#worker.terminate(), 2000)
  }
}
