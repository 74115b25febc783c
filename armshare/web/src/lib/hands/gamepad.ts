// A standard gamepad as motion: sticks and cross move while the dead-man is held. Pure: it reads what the Gamepad API gives.

import { type Action, AXES, type Bound, isOrder, type Order } from './bindings'
import type { Axes } from './input'

/** What is read of a `Gamepad`. */
export interface Pad {
  id: string
  mapping: string
  connected: boolean
  axes: readonly number[]
  buttons: readonly { value: number }[]
}

export interface Reading {
  /** Null: the dead-man is released. */
  axes: Partial<Axes> | null
  slow: boolean
  /** What was pressed since the last reading. */
  orders: Order[]
}

const DEAD_ZONE = 0.15
const PRESSED = 0.5

/** The gamepad to use: one of the standard mapping before any other. */
export function chosen(pads: readonly (Pad | null)[]): Pad | null {
  const connected = pads.filter((pad) => pad?.connected)
  return connected.find((pad) => pad?.mapping === 'standard') ?? connected[0] ?? null
}

/** How far each control is moved, in [0, 1]; a stick is dead in its middle, all around. */
export function controlsOf(pad: Pad): Map<string, number> {
  const moved = new Map(pad.buttons.map((button, i) => [`b${i}`, button.value]))
  pad.axes.forEach((value, i) => {
    const far = Math.hypot(value, pad.axes[i ^ 1] ?? 0)
    const beyond = far < DEAD_ZONE ? 0 : (value / far) * Math.min(1, (far - DEAD_ZONE) / (1 - DEAD_ZONE))
    moved.set(`a${i}+`, Math.max(0, beyond))
    moved.set(`a${i}-`, Math.max(0, -beyond))
  })
  return moved
}

/** The control that is moved most, if any is: for a person who chooses one. */
export function pressedOf(pad: Pad): string | null {
  const [most] = [...controlsOf(pad)].toSorted((a, b) => b[1] - a[1])
  return most && most[1] > PRESSED ? most[0] : null
}

export class GamepadReader {
  #down = new Set<Order>()

  read(pad: Pad, bound: Bound): Reading {
    const moved = controlsOf(pad)
    const value = (action: Action) => Math.max(0, ...bound[action].map((control) => moved.get(control) ?? 0))
    const down = new Set((Object.keys(bound) as Action[]).filter(isOrder).filter((order) => value(order) > PRESSED))
    const orders = [...down].filter((order) => !this.#down.has(order))
    this.#down = down
    const axes = Object.fromEntries(AXES.map((axis) => [axis, value(`${axis}+`) - value(`${axis}-`)]))
    return { axes: value('hold') > PRESSED ? axes : null, slow: value('slow') > PRESSED, orders }
  }
}
