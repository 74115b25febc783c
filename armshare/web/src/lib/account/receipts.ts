// The contributor's own copies of the hub's signed receipts (`recorder/FORMAT.md`, section 5), in this browser.

export interface Receipt {
  episode: string
  digest: string
  log_index: number
  log_origin: string
  received_ms: string
  hub: string
  signature: string
  checkpoint: string
  /** What it rests on, which is signed too: `replayed` or `witnessed`; a receipt of an earlier release does not say. */
  trust?: string
  inclusion: string[]
}

export interface Kept {
  receipt: Receipt
  manifestSha256: string
  task: string
  robot: string
}

const STORE = 'armshare.receipts'
const MOST = 500

/** The hub took the episode, and gave no receipt that can be read. */
export class ReceiptError extends Error {
  override name = 'ReceiptError'
}

export function readReceipt(value: unknown): Receipt {
  const receipt = value as Partial<Receipt> | null
  if (typeof receipt?.log_index !== 'number' || typeof receipt.signature !== 'string')
    throw new ReceiptError(`Expected a signed receipt with a log index, got ${JSON.stringify(value)}.`)
  return receipt as Receipt
}

export function keptReceipts(): Kept[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(STORE) ?? '[]')
    return Array.isArray(kept) ? (kept as Kept[]) : []
  } catch {
    return []
  }
}

/** Newest first; the oldest make room. */
export function keepReceipt(kept: Kept): void {
  const others = keptReceipts().filter((other) => other.receipt.episode !== kept.receipt.episode)
  localStorage.setItem(STORE, JSON.stringify([kept, ...others].slice(0, MOST)))
}

/** All that is needed to check them, as a file's text. */
export const receiptsJson = (): string => `${JSON.stringify(keptReceipts(), null, 2)}\n`
