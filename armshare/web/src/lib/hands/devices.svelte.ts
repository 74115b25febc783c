// What is plugged in beside the keyboard: it is asked at each tick of the page, and moves the same axes.

import type { Order } from './bindings'
import { controls } from './controls.svelte'
import { GamepadReader } from './gamepad'
import type { Axes, Input } from './input'
import { Pads, type Plugged } from './pads.svelte'
import type { Pose } from './servo'
import { parseReport, SpaceMouse, USAGE, VENDORS } from './spacemouse'
import { enter, type Kind, offered } from './xr'

const BUTTONS: readonly Order[] = ['gripper', 'next']

/** What the devices move. */
export interface Operated {
  readonly input: Input
  readonly hand: Pose | null
  readonly headingRad: number
}

export class Devices {
  readonly pads = new Pads()
  /** The name of a connected SpaceMouse. */
  spaceMouse = $state<string | null>(null)
  /** Whether this browser can talk to one. */
  readonly hid: HID | undefined = (navigator as { hid?: HID }).hid
  /** The WebXR sessions that can be had here. */
  offered = $state.raw<Kind[]>([])
  /** The one that runs. */
  xr = $state<Kind | null>(null)
  phoneHeld = false
  /** Draws in a headset. */
  present: (session: XRSession) => Promise<void> = () => Promise.resolve()
  /** Someone is choosing controls: what is pressed moves nothing. */
  muted = false
  readonly #operated: Operated
  #session: XRSession | null = null
  readonly #obey: (order: Order) => void
  readonly #reader = new GamepadReader()
  readonly #mouse = new SpaceMouse()
  #device: HIDDevice | null = null

  constructor(operated: Operated, obey: (order: Order) => void) {
    this.#operated = operated
    this.#obey = obey
    void offered(navigator.xr).then((kinds) => (this.offered = kinds))
    this.hid?.addEventListener('disconnect', this.#gone)
    void this.hid?.getDevices().then((devices) => this.#open(devices[0]), () => null)
  }

  /** The gamepad that is plugged in; it moves nothing before it is ready. */
  get gamepad(): Plugged | null {
    return this.pads.plugged
  }

  /** To be called from a click: the browser then asks which device. */
  async connectSpaceMouse(): Promise<void> {
    const filters = VENDORS.map((vendorId) => ({ vendorId, ...USAGE }))
    await this.#open((await this.hid?.requestDevice({ filters }))?.[0])
  }

  /** To be called from a click. */
  async enterXr(kind: Kind): Promise<void> {
    const operated = this.#operated
    const moved = {
      hand: () => operated.hand,
      headingRad: () => operated.headingRad,
      phoneHeld: () => this.phoneHeld,
      hold: (axes: Axes | null) => operated.input.hold('xr', axes),
      gripper: () => this.#obey('gripper'),
    }
    this.#session = await enter(kind, moved, this.present, () => (this.#session = this.xr = null))
    this.xr = kind
  }

  async leaveXr(): Promise<void> {
    await this.#session?.end()
  }

  poll(): void {
    const heard = !this.muted && document.hasFocus()
    this.#pollGamepad(heard)
    if (this.#device) this.#operated.input.hold('spacemouse', heard ? this.#mouse.axes(performance.now()) : null)
  }

  dispose(): void {
    this.hid?.removeEventListener('disconnect', this.#gone)
    void this.#device?.close()
    void this.leaveXr()
  }

  #pollGamepad(heard: boolean): void {
    const pad = this.pads.read(performance.now())
    const reading = pad && heard ? this.#reader.read(pad, controls.gamepad) : null
    this.#operated.input.hold('gamepad', reading?.axes ?? null, reading?.slow)
    for (const order of reading?.orders ?? []) this.#obey(order)
  }

  async #open(device: HIDDevice | undefined): Promise<void> {
    if (!device) return
    if (!device.opened) await device.open()
    device.addEventListener('inputreport', ({ reportId, data }) => {
      const report = parseReport(reportId, data)
      const pressed = report ? this.#mouse.hear(report, performance.now()) : []
      for (const button of pressed) {
        const order = BUTTONS[button]
        if (order && !this.muted) this.#obey(order)
      }
    })
    this.#device = device
    this.spaceMouse = device.productName
  }

  #gone = ({ device }: HIDConnectionEvent): void => {
    if (device !== this.#device) return
    this.#device = this.spaceMouse = null
    this.#operated.input.hold('spacemouse', null)
  }
}
