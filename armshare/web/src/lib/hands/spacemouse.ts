// A SpaceMouse's HID reports as motion (3Dconnexion, as the Linux kernel's and the free spacenavd drivers read them).
//
// Report 1: x, y, z as int16, in the newer devices followed by the three turns; report 2: the turns; report 3: the
// buttons, a bit each. x is to the right, y towards the person, z down; the turns are about the same axes.
// The cap is its own dead-man: moved out of its middle it is held.

import { AXES } from './bindings'
import type { Axes } from './input'

export const VENDORS = [0x256f, 0x046d]
/** A multi-axis controller, by the HID usage tables. */
export const USAGE = { usagePage: 0x01, usage: 0x08 }

const FULL = 350
const DEAD_ZONE = 0.08
/** A device that is moved reports every few milliseconds. */
const SILENT_MS = 250

export type Report = { shift?: Triple; turn?: Triple; buttons?: number }
type Triple = [number, number, number]

/** What a report says; null if it says nothing of motion or buttons. */
export function parseReport(id: number, data: DataView): Report | null {
  const triple = (at: number): Triple => [0, 2, 4].map((off) => data.getInt16(at + off, true)) as Triple
  if (id === 1 && data.byteLength >= 12) return { shift: triple(0), turn: triple(6) }
  if (id === 1 && data.byteLength >= 6) return { shift: triple(0) }
  if (id === 2 && data.byteLength >= 6) return { turn: triple(0) }
  if (id === 3 && data.byteLength >= 1) return { buttons: data.getUint8(0) }
  return null
}

export class SpaceMouse {
  #shift: Triple = [0, 0, 0]
  #turn: Triple = [0, 0, 0]
  #buttons = 0
  #heardMs = -Infinity

  /** Take a report; returns which buttons were pressed by it, by number. */
  hear(report: Report, nowMs: number): number[] {
    this.#heardMs = nowMs
    this.#shift = report.shift ?? this.#shift
    this.#turn = report.turn ?? this.#turn
    const pressed = (report.buttons ?? 0) & ~this.#buttons
    this.#buttons = report.buttons ?? this.#buttons
    return [...Array(8).keys()].filter((i) => pressed & (1 << i))
  }

  /** The wanted motion; null while the cap is in its middle, or nothing comes any more. */
  axes(nowMs: number): Partial<Axes> | null {
    const [right, near, down] = this.#shift.map(part) as Triple
    const [pitch, roll, yaw] = this.#turn.map(part) as Triple
    const axes: Axes = { x: -near, y: -right, z: -down, roll: -roll, pitch: -pitch, yaw: -yaw }
    for (const axis of AXES) axes[axis] += 0 // no negative zero
    return nowMs - this.#heardMs < SILENT_MS && AXES.some((axis) => axes[axis] !== 0) ? axes : null
  }
}

function part(value: number): number {
  const far = Math.min(1, Math.abs(value) / FULL)
  return far < DEAD_ZONE ? 0 : (Math.sign(value) * (far - DEAD_ZONE)) / (1 - DEAD_ZONE)
}
