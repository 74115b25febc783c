// Who may read a private episode, and who was given what of it: read with care, as all that a hub tells.

import { fieldsOf, isNumber, listOf, textOf } from '../reading'

export interface Reader {
  wallet: string
  /** Why, in words. */
  because: string
}

export interface Use {
  wallet: string
  /** What they were given, in words. */
  what: string
  /** In their own words; empty if they gave none. */
  purpose: string
  last_ms: number
  times: number
}

export interface Uses {
  readers: Reader[]
  uses: Use[]
}

const BECAUSE: Record<string, string> = {
  operator: 'drove it',
  owner: 'owns the robot',
  reader: "named by the robot's owner",
}
const WHAT: Record<string, string> = {
  key: 'the key to the recording',
  file: 'the recording',
  pictures: 'pictures',
  motion: 'motion and channels',
  score: 'the parts of the score',
  export: 'a data set that has it',
}

export function readUses(answer: unknown): Uses | null {
  const found = fieldsOf(answer)
  if (!found) return null
  return { readers: listOf(found['readers'], readerOf), uses: listOf(found['uses'], useOf) }
}

function readerOf(said: unknown): Reader | null {
  const found = fieldsOf(said)
  const [wallet, because, dataset] = [textOf(found?.['wallet']), textOf(found?.['because']), textOf(found?.['dataset'])]
  if (!wallet) return null
  return { wallet, because: dataset ? `reads the data set ${dataset}` : (BECAUSE[because ?? ''] ?? 'may read it') }
}

function useOf(said: unknown): Use | null {
  const found = fieldsOf(said)
  const [wallet, what, last_ms, times] = [textOf(found?.['wallet']), textOf(found?.['what']), found?.['last_ms'], found?.['times']]
  if (!wallet || !isNumber(last_ms) || !isNumber(times)) return null
  return { wallet, what: WHAT[what ?? ''] ?? 'something of it', purpose: textOf(found?.['purpose']) ?? '', last_ms, times }
}
