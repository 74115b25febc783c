// That an episode is in the hub's public log, checked here: RFC 6962 hashes, the signed head of the log (C2SP), and the
// signatures of receipt, robot and operator. Nothing of it is believed because the hub says so.

import { sha256 as slowSha256 } from 'viem'
import { bytesOf as bytesOfBase64 } from '../reading'

/** A proof, a head or a receipt is not what it should be; the message is for people. */
export class ProofError extends Error {
  override name = 'ProofError'
}

type Bytes = Uint8Array<ArrayBuffer>

export const sha256 = async (...parts: Uint8Array[]): Promise<Bytes> => {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  // A page without TLS has no WebCrypto.
  return globalThis.crypto?.subtle ? new Uint8Array(await crypto.subtle.digest('SHA-256', whole)) : Uint8Array.from(slowSha256(whole, 'bytes'))
}

/** RFC 6962, section 2.1: an entry, and two nodes, are told apart by their first byte. */
export const leafHash = (entry: Uint8Array): Promise<Bytes> => sha256(Uint8Array.of(0), entry)
export const nodeHash = (left: Uint8Array, right: Uint8Array): Promise<Bytes> => sha256(Uint8Array.of(1), left, right)

export const sameBytes = (one: Uint8Array, other: Uint8Array): boolean => one.length === other.length && one.every((byte, i) => byte === other[i])

/** 32 bytes from 0x and 64 digits. */
export function hash32(text: unknown): Bytes {
  if (typeof text !== 'string' || !/^0x[0-9a-f]{64}$/.test(text)) throw new ProofError('Expected a hash of 32 bytes.')
  return Uint8Array.from(text.slice(2).match(/../g) ?? [], (pair) => parseInt(pair, 16))
}

/** The root that a path leads to from a leaf (RFC 9162, section 2.1.3.2); throws if the path has another length. */
export async function rootOf(leaf: Uint8Array, index: number, size: number, path: readonly Uint8Array[]): Promise<Uint8Array> {
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) throw new ProofError(`Expected an entry below ${size}, got ${index}.`)
  let [node, last] = [BigInt(index), BigInt(size - 1)]
  let root = leaf
  for (const other of path) {
    if (last === 0n) throw new ProofError('The proof is longer than the log is high.')
    if (node % 2n === 1n || node === last) {
      root = await nodeHash(other, root)
      while (node % 2n === 0n && node !== 0n) [node, last] = [node >> 1n, last >> 1n]
    } else root = await nodeHash(root, other)
    ;[node, last] = [node >> 1n, last >> 1n]
  }
  if (last !== 0n) throw new ProofError('The proof is shorter than the log is high.')
  return root
}

/** The head of a log, as a signed note says it. */
export interface Head {
  origin: string
  size: number
  root: Bytes
  /** The text that is signed. */
  body: string
  /** The lines below it: who signed, the key's id, and the signature. */
  signatures: { name: string; id: Bytes; signature: Bytes }[]
}

const SIGNED_BY = '\u2014 '

/** Read a C2SP checkpoint; throws if it is none. */
export function readHead(note: string): Head {
  const cut = note.indexOf('\n\n')
  const body = note.slice(0, cut + 1)
  const [origin, size, root, end, ...more] = body.split('\n')
  const bytes = root && bytesOfBase64(root)
  if (cut < 0 || !origin || !/^(0|[1-9][0-9]{0,15})$/.test(size ?? '') || !bytes || bytes.length !== 32 || end !== '' || more.length > 0)
    throw new ProofError('The head of the log cannot be read.')
  const signatures = note
    .slice(cut + 2)
    .split('\n')
    .filter((line) => line.startsWith(SIGNED_BY))
    .flatMap((line) => {
      const [name, encoded] = line.slice(SIGNED_BY.length).split(' ')
      const data = bytesOfBase64(encoded ?? '')
      return name && data && data.length > 4 ? [{ name, id: data.slice(0, 4), signature: data.slice(4) }] : []
    })
  return { origin, size: Number(size), root: bytes, body, signatures }
}

/** A log's public key, as C2SP writes it: origin, key id, and 1 before an Ed25519 key. */
export async function readKey(verifier: string): Promise<{ origin: string; id: Bytes; key: Bytes }> {
  const [origin, id, ...rest] = verifier.split('+')
  const data = bytesOfBase64(rest.join('+'))
  if (!origin || !data || data.length !== 33 || data[0] !== 1) throw new ProofError("The log's public key cannot be read.")
  const expected = (await sha256(new TextEncoder().encode(`${origin}\n`), data)).slice(0, 4)
  if (id !== Array.from(expected, (byte) => byte.toString(16).padStart(2, '0')).join('')) throw new ProofError("The log's public key has another id than it says.")
  return { origin, id: expected, key: data.slice(1) }
}

/** Whether the log's key signed a head; null if this browser knows no Ed25519. */
export async function headSigned(head: Head, verifier: string): Promise<boolean | null> {
  const { origin, id, key } = await readKey(verifier)
  const line = head.signatures.find((one) => one.name === origin && sameBytes(one.id, id))
  if (!line || head.origin !== origin) return false
  if (!globalThis.crypto?.subtle) return null
  const imported = await crypto.subtle.importKey('raw', key, { name: 'Ed25519' }, false, ['verify']).catch(() => null)
  if (!imported) return null
  return crypto.subtle.verify({ name: 'Ed25519' }, imported, line.signature, new TextEncoder().encode(head.body))
}

/** The hub's answer to `/api/log/proof/{index}`. */
export interface Inclusion {
  index: number
  size: number
  leaf: string
  hashes: string[]
  checkpoint: string
}

/** The head that an entry is proven to be in; throws what is wrong, as a sentence. */
export async function included(entry: Uint8Array, { index, size, leaf, hashes, checkpoint }: Inclusion): Promise<Head> {
  const head = readHead(checkpoint)
  if (head.size !== size) throw new ProofError(`The proof is for a log of ${size} entries, and the signed head has ${head.size}.`)
  const own = await leafHash(entry)
  if (!sameBytes(own, hash32(leaf))) throw new ProofError('The log has another entry in this place.')
  const root = await rootOf(own, index, size, hashes.map(hash32))
  if (!sameBytes(root, head.root)) throw new ProofError('The proof does not lead to the head of the log.')
  return head
}
