// Someone who looks on: the states of a robot that another drives, read-only. Anyone may stop it; its owner clears it.

import type { Account } from '../account/account.svelte'
import type { Robot, RobotDetail } from '../account/api'
import { atTask, type Descriptor, Layout, sameSetting, type Task } from '../link/descriptor'
import { Playback } from '../view/interp'
import { type FromLink, Link } from '../link/link'
import { type Trouble, troubleOf } from '../trouble'
import { signClear } from './clearing'
import { brokenBy, latched, stopOf } from './latched'
import { Session, type View } from './session'
import { PROTOCOL, type State } from '../link/wire'

const POLL_MS = 2000
const SILENT_MS = 1000

export class Watch {
  readonly account: Account
  /** As it is at its present task: what is drawn. */
  robot = $state.raw<RobotDetail | null>(null)
  /** As the hub last told it. */
  card = $state.raw<Robot | null>(null)
  view = $state.raw<View | null>(null)
  state = $state.raw<State | null>(null)
  /** Whether states come: someone holds the robot. */
  live = $state(false)
  trouble = $state.raw<Trouble | null>(null)
  readonly part = 0
  #playback: Playback | null = null
  readonly #session: Session
  #timer: ReturnType<typeof setInterval> | null = null
  #link: Link | null = null
  #heardMs = -Infinity
  #epoch = 0

  constructor(account: Account) {
    this.account = account
    this.#session = new Session(
      (message) => this.#link?.tell({ type: 'text', text: JSON.stringify(message) }),
      (view) => this.#changed(view),
    )
  }

  async start(robot: string): Promise<void> {
    try {
      const found = await this.account.api.robot(robot)
      this.card = found
      this.#appear(found, atTask(found.descriptor, found.task ?? null))
      this.#link = new Link('/ws/drive', (message) => this.#heard(message))
      this.#timer = setInterval(() => void this.#poll(robot), POLL_MS)
    } catch (error) {
      this.#fail(error)
    }
  }

  /** What is done with it, or was last. */
  get task(): Task | null {
    return this.view?.watched?.task ?? this.robot?.descriptor.tasks[0] ?? null
  }

  #appear(robot: RobotDetail, descriptor: Descriptor): void {
    this.robot = { ...robot, descriptor }
    this.#playback = new Playback(1000 / descriptor.control_hz, new Layout(descriptor.observation).quaternions)
  }

  #changed(view: View): void {
    const turned = view.watched !== this.view?.watched ? view.watched : null
    this.view = view
    if (turned && this.robot && !sameSetting(this.robot.descriptor, turned.robot)) this.#appear(this.robot, turned.robot)
  }

  /** What broke the robot, in its host's words. */
  get broken(): string | null {
    return brokenBy(this.view, this.robot)
  }

  /** Whether the robot is latched, stopped or broken. */
  get stopped(): boolean {
    return latched(this.view, this.robot)
  }

  get mine(): boolean {
    return this.robot !== null && this.robot.owner === this.account.wallet?.address
  }

  estop(): void {
    if (this.robot) this.#session.estop(this.robot.robot)
  }

  async clear(): Promise<void> {
    const [robot, stop] = [this.robot?.robot, stopOf(this.view, this.robot)]
    if (robot && stop) this.#session.clear(robot, stop, await signClear(this.account, robot, stop))
  }

  picture(nowMs: number): Float32Array | null {
    return this.#playback?.at(nowMs) ?? null
  }

  /** Nobody waits to hear what a spectator has been shown. */
  shown(): void {}

  dispose(): void {
    if (this.#timer) clearInterval(this.#timer)
    this.#session.disconnected('left')
    this.#link?.close()
  }

  #heard(message: FromLink): void {
    try {
      if (message.type === 'open') this.#session.opened(PROTOCOL, this.account.api.token ?? '')
      else if (message.type === 'closed') this.#session.disconnected('connection_lost')
      else if (message.type === 'state') this.#seen(message.state, message.atMs)
      else if (message.type === 'malformed') this.trouble = troubleOf({ code: 'wire', message: message.message })
      else if (message.type === 'text') {
        this.#session.received(message.text)
        if (this.view?.phase === 'welcomed' && this.robot) this.#session.watch(this.robot.robot)
      }
    } catch (error) {
      this.#fail(error)
    }
  }

  #seen(state: State, atMs: number): void {
    if (state.epoch < (this.view?.watched?.epoch ?? 0)) return
    if (state.epoch !== this.#epoch) this.#playback?.clear()
    this.#epoch = state.epoch
    this.#heardMs = performance.now()
    this.live = true
    this.state = state
    this.#playback?.push(state, atMs - performance.timeOrigin)
  }

  async #poll(robot: string): Promise<void> {
    if (performance.now() - this.#heardMs > SILENT_MS) this.live = false
    this.card = await this.account.api.robot(robot).catch(() => this.card)
  }

  #fail(error: unknown): void {
    this.trouble = this.view?.fault ?? troubleOf(error)
    this.#session.disconnected('failed')
    this.#link?.close()
  }
}
