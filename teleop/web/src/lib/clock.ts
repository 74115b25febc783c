// The round trip: from a command's sending to the state that says it was applied, on one clock.

const WINDOW = 20

export class RoundTrip {
  #last = 0n
  #recent: number[] = []

  /** Take the echo in a state; each command counts once. */
  echo(tClientUs: bigint, nowUs: bigint): void {
    if (tClientUs === 0n || tClientUs === this.#last || tClientUs > nowUs) return
    this.#last = tClientUs
    this.#recent.push(Number(nowUs - tClientUs) / 1000)
    if (this.#recent.length > WINDOW) this.#recent.shift()
  }

  /** The median of late, ms; null before the first. */
  get ms(): number | null {
    const sorted = this.#recent.toSorted((a, b) => a - b)
    return sorted[Math.floor(sorted.length / 2)] ?? null
  }
}
