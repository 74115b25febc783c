// A signed drive that the hub cannot check at the moment: it waits, and is checked again by itself.

import { PlainError } from '../trouble'

/** What keeps the hub, by the names of `recorder/FORMAT.md`, section 6.1. */
const WHY: Record<string, string> = {
  EngineMismatch: 'the hub has another version of the simulator than the robot',
  DescriptionMismatch: "the hub has another version of the robot's model",
  TaskMismatch: 'the hub has another version of the task',
  UnknownRobot: "the hub does not have the robot's model",
  UnknownTask: 'the hub does not have the task',
  OutOfMemory: 'the hub ran out of memory',
  ReaderLost: 'the check was interrupted',
  StoreLost: 'the place where the hub keeps its files does not answer',
  WorkerLost: 'the check was interrupted',
  VerifierBroke: 'something broke in the check',
}

/** In a few words, how a held episode stands; `reason` is the hub's, which begins with a name. */
export function heldState(reason: string | null): string {
  const why = WHY[/^\w+/.exec(reason ?? '')?.[0] ?? '']
  return why ? `Waiting to be checked: ${why}` : 'Waiting to be checked'
}

/** What is told before a drive that the hub will not be able to check; `reason` is as above. */
export function uncheckedSays(reason: string): string {
  const why = WHY[/^\w+/.exec(reason)?.[0] ?? ''] ?? 'the hub does not say why'
  return `Drives cannot be checked at the moment: ${why}. What you drive is kept, and is not paid until it can be checked.`
}

export class HeldError extends PlainError {
  override name = 'HeldError'
  override code = 'held'
  constructor(reason: string | null) {
    super(`${heldState(reason)}. Your drive is signed and safe, and is checked again by itself. Look at it later in the lobby.`, 'lobby')
  }
}
