// Asking the hub for as long as it takes: no drive is lost because an uplink is slow, cut, or behind a proxy.

import { ApiError } from './api'

/** After one, two, ... answers in a row that were not the hub's own. */
const PAUSES_MS = [1000, 2000, 5000, 10_000, 30_000]

export type Pause = (ms: number) => Promise<void>

const sleep: Pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

/** What is not the hub's own word: it was not reached, a proxy answered instead, or it could not answer just now. */
export const passing = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 0 || error.status >= 500 || error.code === `http_${error.status}`)

/** Ask until the hub itself answers, with pauses that grow; `later` says which of its answers mean "not yet". */
export async function patiently<T>(
  ask: () => Promise<T>,
  later: (error: ApiError) => Promise<boolean> | boolean = () => false,
  pause: Pause = sleep,
): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await ask()
    } catch (error) {
      if (passing(error)) await pause(PAUSES_MS[Math.min(failures++, PAUSES_MS.length - 1)] ?? 0)
      else if (error instanceof ApiError && (await later(error))) failures = 0
      else throw error
    }
  }
}
