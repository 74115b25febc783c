// Answers of a hub, read with care: what cannot be right is left out, and a list ends.

/** No drive has more of each; the rest of a longer list is not read. */
export const MOST = 200
const SENTENCE_MOST = 600
export const NAME_MOST = 60
/** No episode is longer, s. */
const LONGEST_S = 65 * 60

export type Fields = Record<string, unknown>

export const fieldsOf = (value: unknown): Fields | null => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : null)
export const isNumber = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value)
export const isShare = (value: unknown): value is number => isNumber(value) && value >= 0 && value <= 1
export const isTime = (value: unknown): value is number => isNumber(value) && value >= 0 && value <= LONGEST_S

export function listOf<T>(value: unknown, read: (each: unknown) => T | null, most = MOST): T[] {
  return (Array.isArray(value) ? value.slice(0, most) : []).map(read).filter((each) => each !== null)
}

export function numbersOf(value: unknown, good: (each: unknown) => boolean): Record<string, number | null> {
  const all = Object.entries(fieldsOf(value) ?? {}).filter(([name, each]) => name.length <= NAME_MOST && good(each))
  return Object.fromEntries(all.slice(0, MOST)) as Record<string, number | null>
}

export const textOf = (value: unknown): string | null => (typeof value === 'string' && value ? value.slice(0, SENTENCE_MOST) : null)

/** The bytes of base64; null if it is none. */
export function bytesOf(text: unknown): Uint8Array<ArrayBuffer> | null {
  if (typeof text !== 'string') return null
  try {
    return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))
  } catch {
    return null
  }
}

/** Of base64 of little-endian float32; null if it is none. */
export function floatsOf(text: unknown): Float32Array | null {
  const bytes = bytesOf(text)
  if (!bytes || bytes.length % 4 !== 0) return null
  const view = new DataView(bytes.buffer)
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => view.getFloat32(4 * i, true))
}

/** Of base64 of little-endian uint32; null if it is none. */
export function countsOf(text: unknown): Uint32Array | null {
  const bytes = bytesOf(text)
  if (!bytes || bytes.length % 4 !== 0) return null
  const view = new DataView(bytes.buffer)
  return Uint32Array.from({ length: bytes.length / 4 }, (_, i) => view.getUint32(4 * i, true))
}
