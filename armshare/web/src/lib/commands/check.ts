// Before an episode is signed: whether the commands that its manifest names are those that this browser sent.
//
// A manifest names the last command of each epoch by its SHA-256, which binds all before it; of some, if there are gaps, each
// last one before a gap. Of a drive that was all driven here, nothing else is believed. Of one that was driven in part
// elsewhere, the person who drove it is asked.

import type { Manifest } from '../account/manifest'
import { hexOf } from './digests'
import type { Sent } from './sent'

/** A command that a manifest names, as it says it. */
export interface Said {
  epoch: number
  seq: number
  sha256: string
}

type Found = 'same' | 'unseen' | 'other'

/** Why an episode is not signed; the codes are those of `trouble.ts`. */
export class CommandsError extends Error {
  override name = 'CommandsError'
  constructor(
    readonly code: 'other_commands' | 'commands_differ' | 'commands_missing' | 'commands_unseen',
    message: string,
  ) {
    super(message)
  }
}

/** A CommandsError unless the manifest is of what was sent; `agreed`: the person has said that they drove the rest elsewhere. */
export function checkCommands(manifest: Pick<Manifest, 'episode' | 'commands'>, sent: readonly Sent[], agreed: boolean): void {
  const { episode, commands } = manifest
  if (sent.some((each) => each.foreign))
    throw new CommandsError('other_commands', `${episode} is not signed: the robot obeyed commands that were not sent from here`)
  // One of version 1 says nothing of its commands. Nothing that this page drove was sealed as that by an honest host.
  if (commands === undefined && sent.length > 0)
    throw new CommandsError('commands_missing', `${episode} is not signed: it was driven here, and does not say by which commands`)
  const found = commands === undefined ? 'unseen' : compared(commands, sent)
  if (found === 'other')
    throw new CommandsError('commands_differ', `${episode} is not signed: expected what was sent, ${told(sent)}; got ${JSON.stringify(commands)}`)
  if (found === 'unseen' && !agreed)
    throw new CommandsError('commands_unseen', `${episode} was not sent from here, or not all of it: ${JSON.stringify(commands)}`)
}

/** Compare what a manifest says with what was sent. */
export function compared(said: readonly Said[], sent: readonly Sent[]): Found {
  // Nobody else drove any of what was all driven here.
  const elsewhere = sent.some(({ whole }) => whole) ? 'other' : 'unseen'
  const of = (said: Said): Sent | undefined => sent.find(({ epoch }) => epoch === said.epoch)
  const found = said.map((each) => judged(each, of(each), elsewhere))
  const missing = sent.some(({ epoch, applied }) => applied > 0 && !said.some((each) => each.epoch === epoch))
  if (missing || found.includes('other')) return 'other'
  return found.includes('unseen') ? 'unseen' : 'same'
}

function judged({ seq, sha256 }: Said, sent: Sent | undefined, elsewhere: Found): Found {
  if (!sent) return elsewhere
  const { first, from, digests, width, over } = sent
  const at = (seq - from) * width
  if (at >= 0 && at < digests.length) return sha256.startsWith(hexOf(digests.subarray(at, at + width))) ? 'same' : 'other'
  // It was sent and is forgotten; or this page was cut short, and cannot know what it sent after it had last written.
  return at < 0 ? (seq < first ? 'other' : 'unseen') : over ? 'other' : 'unseen'
}

const told = (sent: readonly Sent[]): string =>
  sent.map(({ epoch, from, digests, width }) => `epoch ${epoch}: ${from} to ${from + digests.length / width - 1}`).join(', ')
