// A question that is asked in the middle of a drive: the robot is let go of, and nothing that is pressed meanwhile moves it.

import type { Drive } from './drive.svelte'

/** Open a modal dialog so; returns what ends it. To be attached to the dialog. */
export function asking({ intents, devices }: Pick<Drive, 'intents' | 'devices'>, dialog: HTMLDialogElement): () => void {
  intents.letGo()
  devices.muted = true
  dialog.showModal()
  return () => (devices.muted = false)
}
