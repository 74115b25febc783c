// One visit to one robot: ties the session, the link, the input and the verdict together for the drive page.

import type { Account } from '../account/account.svelte'
import type { RobotDetail } from '../account/api'
import { sentCommands } from '../commands/keeping'
import { Ledger } from '../commands/ledger'
import type { Order } from '../hands/bindings'
import { Devices } from '../hands/devices.svelte'
import type { Health } from '../link/connection'
import { atTask } from '../link/descriptor'
import { type FromLink, Link } from '../link/link'
import { PROTOCOL, type State } from '../link/wire'
import { interrupted } from '../returning/interrupted.svelte'
import { keptDrives } from '../returning/keeping'
import type { Kept } from '../returning/kept'
import { Notes } from '../returning/notes'
import { hereOf, windows } from '../returning/windows'
import { PlainError, type Trouble, troubleOf } from '../trouble'
import { draws, WebglError } from '../view/graphics'
import { signClear } from './clearing'
import { grantFor } from './grant'
import { type Driven, Handing } from './handing.svelte'
import { Idle } from './idle.svelte'
import { Intents } from './intents.svelte'
import { brokenBy, latched, stopOf } from './latched'
import { review } from './review.svelte'
import { holdsLease, PERSON, Session, type View } from './session'
import { Sight } from './sight.svelte'
import { Signer } from './signer'
import { announceTurn } from './turn'

const INTENT_MS = 33
/** For so long nothing is sent after the browser has asked whether to leave, unless the operator drives on. */
const HUSH_MS = 2000

export class Drive {
  readonly account: Account
  readonly sight = new Sight()
  readonly intents: Intents
  readonly handing: Handing
  readonly idle = new Idle()
  readonly devices: Devices
  view = $state.raw<View | null>(null)
  health = $state.raw<Health | null>(null)
  /** What went wrong with the visit itself. */
  trouble = $state.raw<Trouble | null>(null)
  /** The robot obeyed something that was not sent from here: it is not driven any more, and nothing of this is signed. */
  foreign = $state(false)
  readonly #session: Session
  readonly #notes: Notes
  readonly #signer: Signer
  readonly #ledger = new Ledger(sentCommands)
  /** Whether the operator is being asked if the task was done. */
  asksWord = $state(false)
  /** The drive to go on with, and whether only to finish it. */
  readonly #kept: Kept | null
  readonly #finishing: boolean
  readonly #timer: ReturnType<typeof setInterval>
  readonly #unanswer: () => void
  #link: Link | null = null
  readonly task: string
  #askedMs = 0
  #hushed: ReturnType<typeof setTimeout> | null = null

  /** `obey` is what a device's buttons order; `kept` is a drive to go on with, or with `finishing` only to finish. */
  constructor(account: Account, task: string, obey: (order: Order) => void, kept: Kept | null = null, finishing = false) {
    this.account = account
    this.task = kept?.task ?? task
    this.#signer = new Signer(account, kept)
    this.#kept = kept
    this.#finishing = finishing
    this.#session = new Session(
      (message) => this.#link?.tell({ type: 'text', text: JSON.stringify(message) }),
      (view) => this.#changed(view),
    )
    this.intents = new Intents(this, this.sight, (message) => {
      if (message.type === 'intent' && message.intent.deadMan) this.#speak()
      this.#link?.tell(message)
    })
    this.handing = new Handing(account, () => this.#driven(), sentCommands)
    this.#notes = new Notes(keptDrives, interrupted, () => this.#noted())
    this.devices = new Devices(this.intents, obey)
    this.#unanswer = windows.answer((robot, operator) =>
      robot === this.robot?.robot && operator === account.wallet?.address ? hereOf(this.view, () => this.#noted()) : null,
    )
    this.#timer = setInterval(() => {
      this.devices.poll()
      this.intents.send()
      this.#keep(performance.now())
    }, INTENT_MS)
  }

  async start(robot: string): Promise<void> {
    try {
      if (!draws()) throw new WebglError('this browser has no WebGL 2')
      const found = await this.account.api.robot(robot)
      this.sight.appear({ ...found, descriptor: atTask(found.descriptor, this.task) })
      this.#link = new Link('/ws/drive', (message) => this.#heard(message))
    } catch (error) {
      this.fail(error)
    }
  }

  get robot(): RobotDetail | null {
    return this.sight.robot
  }

  /** The newest state. */
  get state(): State | null {
    return this.sight.state
  }

  get part(): number {
    return this.intents.part
  }

  get live(): boolean {
    return this.view?.phase === 'live'
  }

  /** Whether keys and devices move the robot. */
  get drivable(): boolean {
    return this.live && !this.foreign
  }

  /** Whether this page holds the robot. */
  get holding(): boolean {
    return this.view !== null && holdsLease(this.view)
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

  /** Whether something is recorded that is neither finished nor handed in. */
  get unfinished(): boolean {
    return this.drivable && this.sight.steps > 0
  }

  /** The whole robot is in the picture: from now on it may be driven. */
  appeared(): void {
    if (this.sight.drawn) return
    this.sight.drawn = true
    const { phase, lease } = this.view ?? {}
    if (phase === 'granted' && lease) this.#granted(lease.epoch)
    else if (phase === 'welcomed' && this.#kept) this.#session.resume(this.#kept.lease)
  }

  /** End the episode. Nothing measures what a real robot has done, so whoever drove it is asked first. */
  finish(said: boolean | null = null): void {
    if (!this.drivable || this.sight.steps === 0) return
    this.intents.letGo()
    this.asksWord = said === null && this.robot?.descriptor.simulated === false
    if (this.asksWord) return
    this.#askedMs = performance.now()
    this.#session.finish(said)
  }

  /** Keep words with the episode that is being recorded; the view says whether they were kept. */
  note(text: string): void {
    this.#session.note(text)
  }

  /** Whether there is something to write a note on. */
  get notable(): boolean {
    return this.drivable && (this.state?.recording ?? false)
  }

  again(): void {
    if (this.foreign) return
    this.handing.next()
    this.#session.begin()
  }

  /** Give back a robot that obeys others, too. What was recorded is not signed, and discarded if that is wanted. */
  abandon(discarding: boolean): void {
    const episode = this.view?.episode
    this.trouble = troubleOf({ code: 'other_commands' })
    this.#session.leave('other_commands')
    if (discarding && episode) void this.handing.discard(episode)
  }

  /** The page may be about to go. What is sent meanwhile it could not write down, so nothing is. */
  hush(): void {
    this.#link?.tell({ type: 'hush', hushed: true })
    clearTimeout(this.#hushed ?? undefined)
    this.#hushed = setTimeout(() => this.#speak(), HUSH_MS)
  }

  /** The page goes now. */
  gone(): void {
    this.#ledger.save()
  }

  #speak(): void {
    if (this.#hushed === null) return
    clearTimeout(this.#hushed)
    this.#hushed = null
    this.#ledger.silent(false)
    this.#link?.tell({ type: 'hush', hushed: false })
  }

  estop(): void {
    this.intents.letGo()
    if (this.robot) this.#session.estop(this.robot.robot)
  }

  async clear(): Promise<void> {
    const [robot, stop] = [this.robot?.robot, stopOf(this.view, this.robot)]
    if (robot && stop) this.#session.clear(robot, stop, await signClear(this.account, robot, stop))
  }

  /** What to draw: after an episode, the replay of it. */
  picture(nowMs: number): Float32Array | null {
    return this.sight.picture(nowMs, this.#replaying)
  }

  /** What to draw beside it. */
  get other(): Float32Array | null {
    return this.#replaying ? this.sight.other : null
  }

  get #replaying(): boolean {
    return Boolean(this.view?.ended) && !this.live
  }

  /** The newest state has been drawn. */
  shown(finished: () => number): void {
    const { replay, state } = this.sight
    replay.shownS = this.#replaying ? replay.atS : null
    if (state) this.intents.shown(state, finished)
  }

  /** A drive that is not finished is kept by the hub for a while; any other robot is given back. */
  dispose(): void {
    clearInterval(this.#timer)
    this.#unanswer()
    this.devices.dispose()
    if (this.unfinished) {
      this.#notes.write()
      this.intents.letGo()
      this.#session.disconnected('away')
    } else this.#session.leave()
    this.intents.input.neutral()
    this.#link?.close()
  }

  #heard(message: FromLink): void {
    try {
      if (message.type === 'open') this.#session.opened(PROTOCOL, this.account.api.token ?? '')
      else if (message.type === 'text') this.#session.received(message.text)
      else if (message.type === 'state') this.#seen(message.state, message.atMs)
      else if (message.type === 'sent') this.intents.sent(message.number, message.seq)
      else if (message.type === 'health') this.health = message.health
      else if (message.type === 'blind') this.intents.unseen()
      else if (message.type === 'commands') this.#ledger.push(message.epoch, message.from, message.digests)
      else if (message.type === 'silent') this.#ledger.silent(true)
      else if (message.type === 'foreign') this.#obeysOthers()
      else if (message.type === 'closed') this.#session.disconnected('connection_lost')
      else this.trouble = troubleOf({ code: 'wire', message: message.message })
    } catch (error) {
      this.fail(error)
    }
  }

  #seen(state: State, atMs: number): void {
    const { sight, view } = this
    const watched = view?.phase === 'queued' ? view.watched : null
    if (watched && state.epoch >= watched.epoch) sight.watch(state, atMs)
    if (!view?.lease || state.epoch !== view.lease.epoch || !sight.layout) return
    sight.see(state, atMs, sight.layout)
    this.intents.seen()
    if (!state.recording || !this.live) return
    this.#ledger.seen(state)
    const first = sight.record(state)
    this.#notes.recorded(sight.steps, first)
  }

  /** The link has let go of it for good. */
  #obeysOthers(): void {
    this.foreign = true
    this.#ledger.foreign()
    if (this.view?.lease) keptDrives.forget(this.view.lease.id)
    this.intents.letGo()
  }

  /** A robot that is held and not driven is not kept from others for long. */
  #keep(nowMs: number): void {
    const over = this.view?.phase === 'ended'
    if (!over && !(this.live && this.sight.steps === 0 && !this.intents.deadMan)) this.idle.driven(nowMs)
    else if (this.idle.undriven(over && this.view?.waiting !== null, nowMs)) this.#session.leave('unused')
  }

  #changed(view: View): void {
    const before = this.view?.phase
    const wasStopped = this.stopped
    const turned = view.watched !== this.view?.watched
    this.view = view
    if (turned && view.watched && view.phase === 'queued') this.sight.turnTo(view.watched.robot)
    if (before !== view.phase && view.phase === 'granted' && view.lease) this.sight.turnTo(view.lease.robot)
    if (before === view.phase) {
      if (view.phase === 'granted' && this.sight.drawn && wasStopped && !this.stopped) queueMicrotask(() => this.#session.begin())
      return
    }
    this.#moved(before, view)
  }

  /** The visit is in another phase than before. */
  #moved(before: View['phase'] | undefined, view: View): void {
    const { drawn } = this.sight
    if (view.phase === 'ended' || view.phase === 'closed') this.#notes.over(view, this.#kept?.lease ?? null)
    if (before === 'queued' && view.phase === 'granted') announceTurn(this.robot?.name ?? 'The robot')
    if (view.phase === 'welcomed' && before === 'resuming') queueMicrotask(() => this.fail(null))
    else if (view.phase === 'welcomed' && this.#kept) {
      if (drawn) this.#session.resume(this.#kept.lease)
    } else if (view.phase === 'welcomed') void this.#join(view).catch((error: unknown) => this.fail(error))
    else if (view.phase === 'queued' && this.robot) this.#session.watch(this.robot.robot)
    else if (view.phase === 'granted' && view.lease && before !== 'resetting' && drawn) this.#granted(view.lease.epoch)
    else if (view.phase === 'live' && before === 'resetting') this.#ready(view, true)
    else if (view.phase === 'live' && before === 'resuming' && view.lease && view.resumed) this.#back(view, view.lease.epoch, view.resumed)
    else if (view.phase === 'ended') this.#ended()
    else if (view.phase === 'closed') this.#link?.tell({ type: 'over' })
  }

  async #join(view: View): Promise<void> {
    const { robot, account } = this
    if (!robot || !account.wallet || !account.config || !view.nonce) throw new PlainError('You are not signed in. Sign in, then drive.', 'sign_in')
    const { grant, signature, key } = await grantFor(account.config, account.wallet, { robot: robot.robot, task: this.task, nonce: view.nonce })
    this.#signer.granted(grant.nonce, key)
    if (this.view?.phase === 'welcomed') this.#session.join(grant, signature)
  }

  #granted(epoch: number): void {
    this.intents.take(epoch)
    queueMicrotask(() => this.#session.begin())
  }

  /** The drive that was left is this page's again. */
  #back(view: View, epoch: number, resumed: { steps: number; seq: number }): void {
    this.intents.take(epoch)
    this.#ready(view, false)
    this.sight.goOn(resumed)
    this.#notes.back()
    // The wallet is asked now, if it has to be, and once more at the end if it does not agree.
    void this.#signer.key().catch(() => null)
    if (this.#finishing) queueMicrotask(() => this.finish())
  }

  /** An episode can be driven; `fresh`: from its beginning. */
  #ready({ episode, lease }: View, fresh: boolean): void {
    if (episode && lease) this.#ledger.begin(episode, lease.epoch, fresh)
    this.intents.ready()
    this.sight.ready(this.account.operator)
  }

  #ended(): void {
    const { sight, handing, view } = this
    this.intents.input.neutral()
    sight.replay.scrub(sight.replay.lengthS)
    // The state of the last step is not shown if the host ends the episode with it.
    if (view?.ended?.episode) sight.steps = view.ended.steps
    this.#ledger.end(Boolean(view?.ended?.episode))
    // An episode that does not count is not signed.
    if (!view?.ended?.episode || !view.ended.valid) return
    if (this.foreign) return handing.refuse(troubleOf({ code: 'other_commands' }))
    handing.reviewing = review.first
    if (handing.reviewing) sight.replay.play()
    else void handing.handIn(this.#askedMs || performance.now())
    this.#askedMs = 0
  }

  /** What is needed to go on with this drive. */
  #noted(): Omit<Kept, 'atMs'> | null {
    const { view, robot, account, sight } = this
    const { noted } = this.#signer
    if (!view?.lease || !robot || !account.wallet || !noted || this.foreign) return null
    const [lease, operator] = [view.lease.id, account.wallet.address]
    return { lease, robot: robot.robot, task: this.task, operator, ...noted, seconds: sight.seconds }
  }

  #driven(): Driven | null {
    const [episode, robot] = [this.view?.ended?.episode, this.robot?.robot]
    return episode && robot ? { episode, robot, task: this.task, driver: PERSON, key: () => this.#signer.key() } : null
  }

  /** The visit cannot go on: the robot is given back. */
  fail(error: unknown): void {
    this.trouble = this.view?.fault ?? troubleOf(error)
    this.#session.disconnected('failed')
    this.#link?.close()
  }
}
