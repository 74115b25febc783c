// Asking for pictures that the hub may have to draw first: a hub that is busy, or away for a moment, says nothing about them.

export interface World {
  fetch: (url: string, signal: AbortSignal) => Promise<Response>
  wait: (ms: number, signal: AbortSignal) => Promise<void>
  url: (blob: Blob) => string
  revoke: (url: string) => void
}

const WAIT_S = 2
const WAIT_MAX_S = 10

/** The hub's own answer, however long it is busy. Throws if it is not wanted any more. `waits` hears that it takes longer. */
export async function drawn(world: World, url: string, signal: AbortSignal, waits: () => void = () => undefined): Promise<Response> {
  for (;;) {
    const answer = await world.fetch(url, signal).catch(() => null)
    signal.throwIfAborted()
    if (answer && (answer.status < 500 || answer.status === 501)) return answer
    waits()
    await world.wait(1000 * Math.min(WAIT_MAX_S, Number(answer?.headers.get('Retry-After')) || WAIT_S), signal)
  }
}

/** The browser's own. */
export const BROWSER: World = {
  fetch: (url, signal) => fetch(url, { signal }),
  wait: (ms, signal) =>
    new Promise((done, fail) => {
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        fail(signal.reason)
      })
    }),
  url: (blob) => URL.createObjectURL(blob),
  revoke: (url) => URL.revokeObjectURL(url),
}
