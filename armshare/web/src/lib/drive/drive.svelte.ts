// One visit to one robot: ties the session, the link, the input and the verdict together for the drive page.

import type { Account } from '../account/account.svelte'
import type { Arrival, Config, RobotDetail } from '../account/api'
import { actionOf, AXES, type Motion, type Order } from '../hands/bindings'
import type { Health } from '../link/connection'
import { controls } from '../hands/controls.svelte'
import { atTask, basePose, type Descriptor, Layout, partsOf, sameSetting } from '../link/descriptor'
import { Devices } from '../hands/devices.svelte'
import { seal, type FinishState, type Verdict } from '../account/finish'
import { Guide, type Lesson } from './guide'
import { behindRad, type Hint, Hints } from './hints'
import { type Axes, Input } from '../hands/input'
import { interrupted } from './interrupted.svelte'
import type { Kept } from './kept'
import { keptDrives } from './keeping'
import { draws, WebglError } from '../view/graphics'
import { Playback } from '../view/interp'
import { Latency } from '../link/latency'
import { type FromLink, Link } from '../link/link'
import { Replay } from '../view/replay.svelte'
import { review } from './review.svelte'
import { type Pose, poseOf } from '../hands/servo'
import { holdsLease, Session, type View } from './session'
import { announceTurn } from './turn'
import { TOLD_MS, Unused } from './unused'
import { typedData } from '../account/typed'
import { PlainError, type Trouble, troubleOf } from '../trouble'
import { sessionKey } from '../account/sessionkey'
import { keyWallet, type Wallet } from '../account/wallet'
import type { Ways, Why } from '../hands/ways'
import { PROTOCOL, type State } from '../link/wire'

const GRANT_MS = 12 * 3600 * 1000
const INTENT_MS = 33
/** A motion counts as asked for from here on, of the whole. */
const ASKED = 0.3
/** A performance measure: from a key going down to the frame that first shows its command applied. */
const INPUT_TO_PICTURE = 'input-to-picture'
/** How many steps there are between two notes of how long a drive is. */
const NOTE_STEPS = 20
/** Ways in which a page is gone and the drive is not: the hub keeps it for a while. */
const AWAY: readonly (string | null)[] = ['connection_lost', 'failed', 'away']

/** What became of an episode whose operator was driving the next one already. */
export interface Before {
  verdict: Verdict | null
  refusal: Trouble | null
  /** Do again what was refused. */
  retry?: () => void
}

export class Drive {
  readonly account: Account
  readonly input = new Input((code) => actionOf(controls.keys, code))
  readonly devices: Devices
  robot = $state.raw<RobotDetail | null>(null)
  view = $state.raw<View | null>(null)
  /** The newest state. */
  state = $state.raw<State | null>(null)
  health = $state.raw<Health | null>(null)
  /** The robot was let go because nothing was seen of it: still so, or seen again and not yet pressed again. */
  blind = $state<'unseen' | 'seen' | null>(null)
  /** What holds the arm back. */
  hint = $state<Hint | null>(null)
  /** What the chosen hand cannot do from where it is, as the view finds it. */
  ways = $state.raw<Ways>(new Map())
  /** Which way the hand is sent at the moment. */
  asked = $state.raw<readonly Motion[]>([])
  /** The robot is in the picture: before that it is not driven. */
  drawn = $state(false)
  /** How much of its model has come, in words. */
  modelParts = $state('')
  /** In how many seconds the robot goes back because nobody uses it; null while there is time, or it is driven. */
  goesBackS = $state<number | null>(null)
  steps = $state(0)
  /** Which keys are down, for the picture of the keyboard. */
  held = $state.raw<ReadonlySet<string>>(new Set())
  deadMan = $state(false)
  slow = $state(false)
  gripper = $state(1)
  /** Which hand the keys move, by number, or one more for the base. */
  part = $state(0)
  finishing = $state<FinishState | null>(null)
  /** How much of the recording the hub has, while it is waited for. */
  arrival = $state.raw<Arrival | null>(null)
  verdict = $state.raw<Verdict | null>(null)
  /** Why the episode was refused or could not be handed in. */
  refusal = $state.raw<Trouble | null>(null)
  /** The episode is over, and its operator looks at it before it is handed in. */
  reviewing = $state(false)
  discarded = $state(false)
  before = $state.raw<Before | null>(null)
  replay = $state.raw(new Replay())
  /** What the first drive has yet to show; null if this wallet is paid already. */
  guided = $state.raw<Lesson[] | null>(null)
  /** From the end of the episode to its score. */
  sealedMs = $state<number | null>(null)
  /** What went wrong with the visit itself. */
  trouble = $state.raw<Trouble | null>(null)
  playback: Playback | null = null
  layout: Layout | null = null
  readonly #session: Session
  /** Signs this visit's episodes: that of the drive that goes on, or made when the hub says the nonce of the grant. */
  #key: Wallet | null
  /** The drive to go on with, and whether only to finish it. */
  readonly #kept: Kept | null
  readonly #finishing: boolean
  readonly #timer: ReturnType<typeof setInterval>
  #link: Link | null = null
  readonly #task: string
  #unused = new Unused(performance.now())
  /** When the newest state came to this thread. */
  #heardMs = 0
  #firstSeq: number | null = null
  #openings: number[] | null = null
  readonly #hints = new Hints()
  #intents = 0
  #latency = new Latency()
  #askedMs = 0
  /** No state of this episode has come yet. */
  #fresh = true
  #guide: Guide | null = null
  #refused: (() => Promise<void>) | null = null
  /** Which drive of this visit it is. */
  #number = 0
  /** Episodes are handed in one after another, beside the next drive. */
  #handing: Promise<void> = Promise.resolve()

  /** `obey` is what a device's buttons order; `kept` is a drive to go on with, or with `finishing` only to finish. */
  constructor(account: Account, task: string, obey: (order: Order) => void, kept: Kept | null = null, finishing = false) {
    this.account = account
    this.#task = kept?.task ?? task
    this.#key = kept && keyWallet(kept.key)
    this.#kept = kept
    this.#finishing = finishing
    this.#session = new Session(
      (message) => this.#link?.tell({ type: 'text', text: JSON.stringify(message) }),
      (view) => this.#changed(view),
    )
    this.devices = new Devices(this, obey)
    this.#timer = setInterval(() => {
      this.devices.poll()
      this.sendIntent()
      this.#keep(performance.now())
    }, INTENT_MS)
  }

  async start(robot: string): Promise<void> {
    try {
      if (!draws()) throw new WebglError('this browser has no WebGL 2')
      const found = await this.account.api.robot(robot)
      this.#appear({ ...found, descriptor: atTask(found.descriptor, this.#task) })
      this.#link = new Link('/ws/drive', (message) => this.#heard(message))
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Draw the robot, and read its states, as this says. */
  #appear(robot: RobotDetail): void {
    this.robot = robot
    this.drawn = false
    this.layout = new Layout(robot.descriptor.observation)
    this.playback = new Playback(1000 / robot.descriptor.control_hz, this.layout.quaternions)
    this.replay = new Replay(this.layout.quaternions)
  }

  /** The robot is at this task now: another's while one waits for it, at last one's own. */
  #turnTo(descriptor: Descriptor): void {
    if (this.robot && !sameSetting(this.robot.descriptor, descriptor)) this.#appear({ ...this.robot, descriptor })
  }

  get live(): boolean {
    return this.view?.phase === 'live'
  }

  /** The whole robot is in the picture: from now on it may be driven. */
  appeared(): void {
    if (this.drawn) return
    this.drawn = true
    const { phase, lease } = this.view ?? {}
    if (phase === 'granted' && lease) this.#granted(lease.epoch)
    else if (phase === 'welcomed' && this.#kept) this.#session.resume(this.#kept.lease)
  }

  /** The robot cannot be drawn, so it is given back. */
  unseen(error: unknown): void {
    this.#fail(error)
  }

  /** Somebody is at this page. */
  used(): void {
    this.#unused.used(performance.now())
  }

  /** Why the hand does not go where it is sent, known without waiting for it; null if it does. */
  get kept(): Why | null {
    if (!this.live || !this.deadMan) return null
    return this.asked.map((motion) => this.ways.get(motion)).find((why) => why !== undefined) ?? null
  }

  get seconds(): number {
    return this.steps / (this.robot?.descriptor.control_hz ?? 1)
  }

  finish(): void {
    if (!this.live || this.steps === 0) return
    this.#askedMs = performance.now()
    this.letGo()
    this.#session.finish()
  }

  again(): void {
    this.verdict = this.refusal = this.before = this.finishing = this.arrival = this.sealedMs = null
    this.#number += 1
    this.reviewing = this.discarded = false
    this.#session.begin()
  }

  estop(): void {
    this.letGo()
    if (this.robot) this.#session.estop(this.robot.robot)
  }

  clear(): void {
    if (this.robot) this.#session.clear(this.robot.robot)
  }

  toggleGripper(): void {
    if (!this.live || !this.#openings) return
    this.input.toggleGripper(performance.now())
    this.sendIntent()
  }

  /** What the keys can move. */
  get parts(): string[] {
    return this.robot ? partsOf(this.robot.descriptor) : []
  }

  choose(part: number): void {
    if (part >= this.parts.length) return
    this.input.choose(part)
    this.part = part
    this.sendIntent()
  }

  /** Where the chosen hand is; null if the keys move the base, and before the first state. */
  get hand(): Pose | null {
    const end = this.robot?.descriptor.end_effectors[this.part]
    const pose = end && this.state && this.layout?.get(this.state.values, end.pose)
    return pose ? poseOf(pose) : null
  }

  /** How far the base that carries the hands has turned. */
  get headingRad(): number {
    const { robot, state, layout } = this
    return (robot && state && layout && basePose(robot.descriptor, layout, state.values)?.[2]) || 0
  }

  letGo(): void {
    this.input.neutral()
    this.sendIntent()
  }

  /** What broke the robot: as the hub last said, or as it was when this page came. */
  get broken(): string | null {
    const said = this.view?.brokenBy
    return said === undefined ? (this.robot?.fault ?? null) : said
  }

  /** Whether the robot is latched, stopped or broken: as the hub last said, or as it was when this page came. */
  get stopped(): boolean {
    const by = this.view?.stoppedBy
    return by === undefined ? (this.robot?.estopped ?? false) || this.broken !== null : by !== null || this.broken !== null
  }

  get mine(): boolean {
    return this.robot !== null && this.robot.owner === this.account.wallet?.address
  }

  /** Tell the link what is wanted now; it forgets what is not renewed. `pressedMs`: when the key of it went down. */
  sendIntent(pressedMs?: number): void {
    const held = this.input.held()
    if (held.size !== this.held.size || [...held].some((code) => !this.held.has(code))) this.held = new Set(held)
    this.gripper = this.input.grippers[this.part] ?? 1
    this.slow = this.input.slow
    if (!this.#link || !this.view || !holdsLease(this.view)) return
    const intent = this.input.intent(performance.now(), this.#openings)
    this.deadMan = intent.deadMan && this.live
    this.#asks(intent.axes)
    if (this.deadMan && this.blind === 'seen') this.blind = null
    this.#link.tell({ type: 'intent', intent: { ...intent, deadMan: this.deadMan }, number: ++this.#intents })
    if (pressedMs !== undefined) this.#latency.pressed(pressedMs, this.#intents)
  }

  /** What to draw: after an episode, the replay of it. */
  picture(nowMs: number): Float32Array | null {
    return (this.#replaying ? this.replay.values(nowMs) : null) ?? this.playback?.at(nowMs) ?? null
  }

  get #replaying(): boolean {
    return Boolean(this.view?.ended) && !this.live
  }

  /** The newest state has been drawn. */
  shown(finished: () => number): void {
    this.replay.shownS = this.#replaying ? this.replay.atS : null
    if (!this.state) return
    this.#link?.tell({ type: 'shown', seq: this.state.seq })
    const start = this.#latency.shown(this.state.applied)
    if (start === null) return
    const detail = { state: this.state.seq, heardMs: this.#heardMs - start, handedMs: performance.now() - start }
    performance.measure(INPUT_TO_PICTURE, { start, end: finished(), detail })
  }

  /** Whether something is recorded that is neither finished nor handed in. */
  get unfinished(): boolean {
    return this.live && this.steps > 0
  }

  /** A drive that is not finished is kept by the hub for a while; any other robot is given back. */
  dispose(): void {
    clearInterval(this.#timer)
    this.devices.dispose()
    if (this.unfinished) {
      this.#note()
      this.letGo()
      this.#session.disconnected('away')
    } else this.#session.leave()
    this.input.neutral()
    this.#link?.close()
  }

  #heard(message: FromLink): void {
    try {
      if (message.type === 'open') this.#session.opened(PROTOCOL, this.account.api.token ?? '')
      else if (message.type === 'text') this.#session.received(message.text)
      else if (message.type === 'state') this.#seen(message.state, message.atMs)
      else if (message.type === 'sent') this.#latency.sent(message.number, message.seq)
      else if (message.type === 'health') this.health = message.health
      else if (message.type === 'blind') this.#unseen()
      else if (message.type === 'closed') this.#session.disconnected('connection_lost')
      else this.trouble = troubleOf({ code: 'wire', message: message.message })
    } catch (error) {
      this.#fail(error)
    }
  }

  #seen(state: State, atMs: number): void {
    const lease = this.view?.lease
    const watched = this.view?.phase === 'queued' ? this.view.watched : null
    if (watched && state.epoch >= watched.epoch) this.playback?.push(state, atMs - performance.timeOrigin)
    if (!lease || state.epoch !== lease.epoch || !this.layout) return
    const openings = this.layout.get(state.values, 'gripper_position')
    this.#openings = openings && [...openings]
    if (this.#fresh) this.#adopt()
    this.state = state
    this.blind &&= 'seen'
    this.#heardMs = performance.now()
    this.playback?.push(state, atMs - performance.timeOrigin)
    this.#heed(state, atMs, this.layout)
    if (!state.recording || !this.live) return
    this.replay.push(state)
    if (this.#guide) {
      this.#guide.see(state)
      this.guided = this.#guide.steps
    }
    const first = this.#firstSeq === null
    this.#firstSeq ??= state.seq
    this.steps = state.seq - this.#firstSeq + 1
    if (first) interrupted.recording()
    if (first || this.steps % NOTE_STEPS === 0) this.#note()
  }

  #asks(axes: Axes): void {
    const asked = AXES.flatMap((axis): Motion[] =>
      Math.abs(axes[axis]) < ASKED ? [] : [axes[axis] > 0 ? `${axis}+` : `${axis}-`],
    )
    if (asked.join() !== this.asked.join()) this.asked = asked
  }

  /** A robot that is held and not driven is not kept from others for long. */
  #keep(nowMs: number): void {
    const over = this.view?.phase === 'ended'
    if (!over && !(this.live && this.steps === 0 && !this.deadMan)) {
      this.#unused = new Unused(nowMs)
      this.goesBackS = null
      return
    }
    this.#unused.waited(over && this.view?.waiting !== null, nowMs)
    const leftMs = this.#unused.leftMs(nowMs)
    if (leftMs === 0) this.#session.leave('unused')
    this.goesBackS = leftMs > 0 && leftMs <= TOLD_MS ? Math.ceil(leftMs / 1000) : null
  }

  #heed(state: State, atMs: number, layout: Layout): void {
    const [joints, targets] = ['joint_position', 'commanded_joint_position'].map((name) => layout.get(state.values, name))
    this.hint = this.#hints.take(state.limits, behindRad(joints ?? null, targets ?? null), atMs)
  }

  #changed(view: View): void {
    const before = this.view?.phase
    const wasStopped = this.stopped
    const turned = view.watched !== this.view?.watched
    this.view = view
    if (turned && view.watched && view.phase === 'queued') this.#turnTo(view.watched.robot)
    if (before !== view.phase && view.phase === 'granted' && view.lease) this.#turnTo(view.lease.robot)
    if (before === view.phase) {
      if (view.phase === 'granted' && this.drawn && wasStopped && !this.stopped) queueMicrotask(() => this.#session.begin())
      return
    }
    if (view.phase === 'ended' || view.phase === 'closed') this.#over(view)
    if (before === 'queued' && view.phase === 'granted') announceTurn(this.robot?.name ?? 'The robot')
    if (view.phase === 'welcomed' && before === 'resuming') queueMicrotask(() => this.#fail(null))
    else if (view.phase === 'welcomed' && this.#kept) {
      if (this.drawn) this.#session.resume(this.#kept.lease)
    } else if (view.phase === 'welcomed') void this.#join(view).catch((error: unknown) => this.#fail(error))
    else if (view.phase === 'queued' && this.robot) this.#session.watch(this.robot.robot)
    else if (view.phase === 'granted' && view.lease && before !== 'resetting' && this.drawn) this.#granted(view.lease.epoch)
    else if (view.phase === 'live' && before === 'resetting') this.#ready()
    else if (view.phase === 'live' && before === 'resuming' && view.lease && view.resumed) this.#back(view.lease.epoch, view.resumed)
    else if (view.phase === 'ended') this.#ended()
    else if (view.phase === 'closed') this.#link?.tell({ type: 'over' })
  }

  async #join(view: View): Promise<void> {
    const { robot, account } = this
    if (!robot || !account.wallet || !account.config || !view.nonce) throw new PlainError('You are not signed in. Sign in, then drive.', 'sign_in')
    this.#key = await sessionKey(account.config, account.wallet, view.nonce)
    const notAfterMs = Date.now() + GRANT_MS
    const grant = {
      operator: account.wallet.address,
      sessionKey: this.#key.address,
      robot: robot.robot,
      task: this.#task,
      nonce: view.nonce,
      notAfterMs,
    }
    const data = typedData(account.config, 'SessionGrant', { ...grant, notAfterMs: BigInt(notAfterMs) })
    const signature = await account.wallet.signTyped(data)
    if (this.view?.phase === 'welcomed') this.#session.join(grant, signature)
  }

  #granted(epoch: number): void {
    this.#take(epoch)
    queueMicrotask(() => this.#session.begin())
  }

  /** The drive that was left is this page's again. */
  #back(epoch: number, { steps, seq }: { steps: number; seq: number }): void {
    this.#take(epoch)
    this.#ready()
    this.#firstSeq = seq - steps + 1
    this.steps = steps
    interrupted.recording()
    if (this.#finishing) queueMicrotask(() => this.finish())
  }

  /** Write down what is needed to go on with this drive. */
  #note(): void {
    const { view, robot, account, seconds } = this
    if (!view?.lease || !robot || !account.wallet || !this.#key?.key) return
    const [lease, operator] = [view.lease.id, account.wallet.address]
    keptDrives.keep({ lease, robot: robot.robot, task: this.#task, operator, key: this.#key.key, seconds })
  }

  #over(view: View): void {
    interrupted.over()
    if (view.lease && !AWAY.includes(view.closed)) keptDrives.forget(view.lease.id)
    if (this.#kept && view.fault?.code === 'lease_over') keptDrives.forget(this.#kept.lease)
  }

  #take(epoch: number): void {
    const { base, end_effectors } = this.robot?.descriptor ?? { base: null, end_effectors: [] }
    this.#latency = new Latency()
    const speeds = base && { forwardMS: base.speed_max_m_s, turnRadS: base.turn_max_rad_s }
    this.#link?.tell({ type: 'lease', epoch, hands: end_effectors.length, base: speeds })
    this.sendIntent()
  }

  /** The link has let go by itself; what is held must be let go of too. */
  #unseen(): void {
    this.blind = 'unseen'
    this.letGo()
  }

  #ready(): void {
    this.blind = null
    this.input.neutral()
    this.playback?.clear()
    this.replay.clear()
    this.#hints.clear()
    this.steps = 0
    this.#firstSeq = null
    this.#fresh = true
    const { robot, layout } = this
    const operator = this.account.operator
    const practice = robot && layout && operator?.qualified === false
    this.#guide = practice ? new Guide(robot.descriptor, layout, operator.needs, operator.shown) : null
    this.guided = this.#guide?.steps ?? null
  }

  /** Want the grippers as they are, so that the first motion does not move them. */
  #adopt(): void {
    this.#fresh = false
    if (!this.#openings) return
    this.input.adoptGrippers(this.#openings)
    this.#link?.tell({ type: 'openings', openings: this.input.grippers })
  }

  #ended(): void {
    this.input.neutral()
    this.replay.scrub(this.replay.lengthS)
    // The state of the last step is not shown if the host ends the episode with it.
    if (this.view?.ended?.episode) this.steps = this.view.ended.steps
    // An episode that does not count is not signed.
    if (!this.view?.ended?.episode || !this.view.ended.valid) return
    this.reviewing = review.first
    if (this.reviewing) this.replay.play()
    else void this.handIn(this.#askedMs || performance.now())
    this.#askedMs = 0
  }

  /** Whether the next drive has to wait for what becomes of the last: only if that decides what is to be shown. */
  get waiting(): boolean {
    return this.reviewing || this.account.operator?.qualified === false
  }

  async handIn(sinceMs = performance.now()): Promise<void> {
    const { account, robot } = this
    const episode = this.view?.ended?.episode
    if (!episode || !robot) return
    this.reviewing = false
    const number = this.#number
    const handIn = async (config: Config, operator: string) => {
      const verdict = await this.#seal(config, episode, operator, robot.robot, number)
      if (number === this.#number) this.sealedMs = performance.now() - sinceMs
      this.#show(number, { verdict, refusal: null })
      await Promise.all([account.refreshBalance(), account.refreshOperator()])
    }
    this.#handing = this.#handing.then(() => this.#told(number, handIn))
    await this.#handing
  }

  async discard(): Promise<void> {
    const episode = this.view?.ended?.episode
    if (!episode) return
    this.reviewing = false
    const number = this.#number
    await this.#told(number, async () => {
      await this.account.renewed(() => this.account.api.discard(episode))
      if (number !== this.#number) return
      this.refusal = null
      this.discarded = true
    })
  }

  /** Do again what was refused. */
  retryRefused(): void {
    this.refusal = null
    void this.#refused?.()
  }

  /** Do what can be refused, and keep why. */
  async #told(number: number, work: (config: Config, operator: string) => Promise<void>): Promise<void> {
    const { config, wallet } = this.account
    if (!config || !wallet) return
    try {
      await work(config, wallet.address)
    } catch (error) {
      const again = () => this.#told(number, work)
      if (number === this.#number) this.#refused = again
      const retry = () => {
        this.before = null
        void again()
      }
      this.#show(number, { verdict: null, refusal: troubleOf(error), retry })
    }
  }

  /** Say what became of an episode: in its result, or beside the drive after it. */
  #show(number: number, found: Before): void {
    if (number !== this.#number) {
      this.before = found
      return
    }
    this.verdict = found.verdict ?? this.verdict
    this.refusal = found.refusal
  }

  async #seal(config: Config, episode: string, operator: string, robot: string, number: number): Promise<Verdict> {
    const key = this.#key
    if (!key) throw new PlainError('This page did not drive this episode. You can sign it in the lobby.', 'lobby')
    const ours = { episode, operator, sessionKey: key.address, robot, task: this.#task }
    const { account } = this
    const at = (state: FinishState, arrival: Arrival | null = null) => {
      if (number !== this.#number) return
      this.finishing = state
      this.arrival = arrival
    }
    return account.renewed(() => seal(account.api, config, key, ours, at))
  }

  #fail(error: unknown): void {
    this.trouble = this.view?.fault ?? troubleOf(error)
    this.#session.disconnected('failed')
    this.#link?.close()
  }
}
