// The controls as this person has them, kept in this browser.

import { type Action, type Bound, changesOf, GAMEPAD, KEYS, labelOf, rebound, withChanges } from './bindings'

const KEPT = 'armshare.controls'

type Kind = 'keys' | 'gamepad'
const DEFAULTS: Record<Kind, Bound> = { keys: KEYS, gamepad: GAMEPAD }

interface Keyboard {
  getLayoutMap(): Promise<ReadonlyMap<string, string>>
}

function kept(): Partial<Record<Kind, unknown>> {
  try {
    return (JSON.parse(localStorage.getItem(KEPT) ?? 'null') as Partial<Record<Kind, unknown>> | null) ?? {}
  } catch {
    return {}
  }
}

class Controls {
  keys = $state.raw<Bound>(withChanges(KEYS, kept().keys))
  gamepad = $state.raw<Bound>(withChanges(GAMEPAD, kept().gamepad))
  #layout = $state.raw<ReadonlyMap<string, string> | undefined>(undefined)

  constructor() {
    const keyboard = (navigator as Navigator & { keyboard?: Keyboard }).keyboard
    keyboard?.getLayoutMap?.().then((layout) => (this.#layout = layout), () => null)
  }

  label(control: string): string {
    return labelOf(control, this.#layout)
  }

  /** What stands on the controls of an action. */
  labels(kind: Kind, action: Action): string[] {
    return this[kind][action].map((control) => this.label(control))
  }

  rebind(kind: Kind, action: Action, control: string): void {
    this[kind] = rebound(this[kind], action, control)
    this.#keep()
  }

  reset(): void {
    this.keys = KEYS
    this.gamepad = GAMEPAD
    this.#keep()
  }

  #keep(): void {
    const changes = { keys: changesOf(this.keys, DEFAULTS.keys), gamepad: changesOf(this.gamepad, DEFAULTS.gamepad) }
    localStorage.setItem(KEPT, JSON.stringify(changes))
  }
}

export const controls = new Controls()
