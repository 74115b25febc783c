// One visit to a robot, as explicit states: what the page may send, and what the hub may say, in each.
//
//   connecting -> greeting -> welcomed -> joining -> queued -> granted -> resetting -> live -> ending -> ended
//                                                                 ^            |___________________________|
// Who comes back to a drive goes from `welcomed` to `resuming` to `live`. A spectator goes from `welcomed` to `watching`,
// and stays there.
// `left` or a lost socket closes it from anywhere. An illegal move raises SessionError, which closes it too.

import type { Descriptor, Task } from '../link/descriptor'
import type { Driver, EpisodeEnded, Grant, HubToOperator, OperatorToHub } from '../link/signalling'
import { type Trouble, troubleOf } from '../trouble'
import { type CameraTrouble, taken } from './cameratrouble'

export type Phase =
  | 'connecting'
  | 'greeting'
  | 'welcomed'
  | 'watching'
  | 'joining'
  | 'resuming'
  | 'queued'
  | 'granted'
  | 'resetting'
  | 'live'
  | 'ending'
  | 'ended'
  | 'closed'

export interface View {
  phase: Phase
  nonce: string | null
  /** How far this computer's clock is ahead of the hub's. */
  aheadMs: number
  /** `waitS` is what the hub expected when it last told the position. */
  queue: { position: number; length: number; waitS: number } | null
  lease: { id: string; epoch: number; robot: Descriptor; task: Task | null } | null
  /** What a spectator sees: the robot as it is at its task, from states of this epoch on. */
  watched: { robot: Descriptor; task: Task | null; epoch: number } | null
  /** How many wait while this operator holds the robot, and when it goes on to them, as the hub last told; null: nobody. */
  waiting: { length: number; leftS: number } | null
  episode: string | null
  /** How many notes the open episode has, and whether one is on its way. */
  notes: number
  noting: boolean
  /** Why a note was not kept. */
  unnoted: Trouble | null
  /** What is, or was, wrong with the pictures that cameras record of this episode. */
  cameraTroubles: readonly CameraTrouble[]
  /** Of a drive that was come back to: how many steps had been recorded when state `seq` was published. */
  resumed: { steps: number; seq: number } | null
  ended: EpisodeEnded | null
  /** Who pressed the emergency stop, null once it is cleared; undefined where nothing was heard of it. */
  stoppedBy: string | null | undefined
  /** What broke the robot, null once it is cleared; undefined if nothing was heard of it. */
  brokenBy: string | null | undefined
  /** What its owner's clear must name, null once it is cleared; undefined if nothing was heard of it. */
  stop: string | null | undefined
  /** Why a clear did not release it. */
  uncleared: Trouble | null
  /** What the hub refused last. */
  fault: Trouble | null
  /** Why the hub cannot check what is driven at this task now, if it said so: it waits, and is not paid. */
  unchecked: string | null
  /** Why the session is over. */
  closed: string | null
}

const FIRST: View = {
  phase: 'connecting',
  nonce: null,
  aheadMs: 0,
  queue: null,
  lease: null,
  watched: null,
  waiting: null,
  episode: null,
  notes: 0,
  noting: false,
  unnoted: null,
  cameraTroubles: [],
  resumed: null,
  ended: null,
  stoppedBy: undefined,
  brokenBy: undefined,
  stop: undefined,
  uncleared: null,
  fault: null,
  unchecked: null,
  closed: null,
}

/** In which states the hub may say what; null: at any time. */
const HEARD_IN: Record<HubToOperator['type'], readonly Phase[] | null> = {
  welcome: ['greeting'],
  watching: null,
  queued: ['joining', 'queued'],
  granted: ['joining', 'queued'],
  resumed: ['resuming'],
  ready: ['resetting'],
  noted: null,
  ended: ['resetting', 'live', 'ending'],
  waiting: null,
  left: null,
  estopped: null,
  faulted: null,
  cleared: null,
  cannot_record: null,
  can_record: null,
  cannot_check: null,
  camera_trouble: null,
  error: null,
}

const UNNOTED = { notes: 0, noting: false, unnoted: null } as const

/** Where an error of the hub leaves us: what was asked for did not happen. */
const AFTER_ERROR: Partial<Record<Phase, Phase>> = { resuming: 'welcomed', resetting: 'granted', ending: 'live' }

/** This page is for people, and goes on with what they began here; a program is a client of its own. */
export const PERSON: Driver = { kind: 'person', name: '', sha256: '' }

const HOLDING: readonly Phase[] = ['granted', 'resetting', 'live', 'ending', 'ended']

export class SessionError extends Error {
  override name = 'SessionError'
}

export const holdsLease = (view: View): boolean => HOLDING.includes(view.phase)

export class Session {
  view: View = FIRST
  readonly #send: (message: OperatorToHub) => void
  readonly #changed: (view: View) => void
  #protocol = 0

  constructor(send: (message: OperatorToHub) => void, changed: (view: View) => void) {
    this.#send = send
    this.#changed = changed
  }

  opened(protocol: number, token: string): void {
    this.#protocol = protocol
    this.#say('open', ['connecting'], 'greeting', { type: 'hello', protocol, token })
  }

  join(grant: Grant, signature: string): void {
    this.#say('join', ['welcomed'], 'joining', { type: 'join', grant, signature })
  }

  /** Go on with a drive whose connection was lost. */
  resume(lease: string): void {
    this.#say('resume', ['welcomed'], 'resuming', { type: 'resume', lease, driver: PERSON })
  }

  begin(): void {
    this.#say('begin', ['granted', 'ended'], 'resetting', { type: 'begin', driver: PERSON })
  }

  /** Keep words with the episode at this moment of it. */
  note(text: string): void {
    if (this.view.phase !== 'live' || this.view.noting) return
    this.#move({ noting: true, unnoted: null })
    this.#send({ type: 'note', text })
  }

  /** `said`: the operator's word whether the task was done; null if they were not asked. */
  finish(said: boolean | null = null): void {
    this.#say('finish', ['live'], 'ending', said === null ? { type: 'finish' } : { type: 'finish', said })
  }

  /** Give the lease back, for a reason that the page tells; a session that is already over stays so. */
  leave(reason = 'left'): void {
    if (this.view.phase !== 'closed' && this.view.phase !== 'connecting') this.#send({ type: 'leave' })
    this.disconnected(reason)
  }

  /** Anyone may stop a robot, at any time that the socket is open. */
  estop(robot: string): void {
    if (this.view.phase !== 'closed' && this.view.phase !== 'connecting') this.#send({ type: 'estop', robot })
  }

  /** Its owner releases what is latched under that name. */
  clear(robot: string, stop: string, signature: string): void {
    if (this.view.phase === 'closed' || this.view.phase === 'connecting') return
    this.#move({ uncleared: null })
    this.#send({ type: 'clear', robot, stop, signature })
  }

  /** See the robot while another drives it. */
  watch(robot: string): void {
    if (this.view.phase === 'queued') this.#send({ type: 'watch', robot })
    else this.#say('watch', ['welcomed'], 'watching', { type: 'watch', robot })
  }

  disconnected(reason: string): void {
    if (this.view.phase !== 'closed') this.#move({ phase: 'closed', waiting: null, closed: reason })
  }

  received(text: string): void {
    if (this.view.phase === 'closed') return
    const said = parse(text)
    if (this.view.phase === 'greeting') this.#requireProtocol(said)
    const message = known(said)
    if (!message) return
    const allowed = HEARD_IN[message.type]
    if (allowed && !allowed.includes(this.view.phase)) throw this.#illegal(`"${message.type}"`, allowed)
    this.#move(this.#heard(message))
  }

  /** Refuse a hub of another version by name, whatever else its first message holds. */
  #requireProtocol(said: unknown): void {
    const theirs = (said as { protocol?: unknown } | null)?.protocol
    if (theirs === undefined || theirs === this.#protocol) return
    const message = `expected protocol ${this.#protocol}, got ${theirs}; reload the page, or update the hub`
    this.#move({ fault: troubleOf({ code: 'protocol', message }) })
    throw new SessionError(message)
  }

  /** What ends is what was driven: another episode would be signed in its place. */
  #requireEpisode({ episode }: EpisodeEnded): void {
    const { phase, episode: driven } = this.view
    if (episode !== null && phase !== 'resetting' && episode !== driven)
      throw new SessionError(`expected the end of episode ${driven}, got that of ${episode}`)
  }

  #heard(message: HubToOperator): Partial<View> {
    switch (message.type) {
      case 'welcome':
        return { phase: 'welcomed', nonce: message.nonce, aheadMs: message.now_ms == null ? 0 : Date.now() - message.now_ms }
      case 'watching': {
        const { robot, task, epoch } = message
        return { watched: { robot: robot as unknown as Descriptor, task: task as Task | null, epoch } }
      }
      case 'queued':
        return { phase: 'queued', queue: { position: message.position, length: message.length, waitS: message.wait_s } }
      case 'granted': {
        const { lease, epoch, robot, task } = message
        const held = { id: lease, epoch, robot: robot as unknown as Descriptor, task: task as Task | null }
        return { phase: 'granted', queue: null, waiting: null, fault: null, lease: held }
      }
      case 'resumed': {
        const { lease, epoch, robot, task, episode, steps, seq } = message
        const held = { id: lease, epoch, robot: robot as unknown as Descriptor, task: task as Task | null }
        return { phase: 'live', lease: held, episode, resumed: { steps, seq }, ended: null, fault: null }
      }
      case 'ready':
        return { phase: 'live', episode: message.episode, ...UNNOTED, cameraTroubles: [], resumed: null, ended: null, fault: null }
      case 'noted':
        return message.episode === this.view.episode ? { ...UNNOTED, notes: message.notes } : {}
      case 'ended':
        this.#requireEpisode(message)
        return { phase: 'ended', ended: message }
      case 'waiting':
        return { waiting: message.length > 0 ? { length: message.length, leftS: message.left_s } : null }
      case 'left':
        return { phase: 'closed', waiting: null, closed: message.reason }
      case 'estopped':
        return { stoppedBy: message.by, stop: message.stop }
      case 'cleared':
        return { stoppedBy: null, brokenBy: null, stop: null, uncleared: null, fault: null }
      case 'faulted':
        return { brokenBy: message.reason, stop: message.stop }
      case 'cannot_record':
        return { fault: troubleOf({ code: 'cannot_record', message: message.reason }) }
      case 'can_record':
        return this.view.fault?.code === 'cannot_record' ? { fault: null } : {}
      case 'cannot_check':
        return { unchecked: message.reason }
      case 'camera_trouble':
        return message.episode === this.view.episode ? { cameraTroubles: taken(this.view.cameraTroubles, message) } : {}
      case 'error': {
        if (message.code === 'clear') return { uncleared: troubleOf(message) }
        if (message.code === 'note') return { noting: false, unnoted: troubleOf(message) }
        const trouble = message.code === 'clock' ? ofClocks(this.view.aheadMs, troubleOf(message)) : troubleOf(message)
        return { phase: AFTER_ERROR[this.view.phase] ?? this.view.phase, fault: trouble }
      }
    }
  }

  #say(what: string, from: readonly Phase[], to: Phase, message: OperatorToHub): void {
    if (!from.includes(this.view.phase)) throw this.#illegal(what, from)
    this.#move({ phase: to, fault: null })
    this.#send(message)
  }

  #move(change: Partial<View>): void {
    this.view = { ...this.view, ...change }
    this.#changed(this.view)
  }

  #illegal(what: string, expected: readonly Phase[]): SessionError {
    return new SessionError(`${what} belongs to the state ${expected.join(' or ')}, and this is ${this.view.phase}`)
  }
}

/** What is told of clocks that differ, with the difference. */
function ofClocks(aheadMs: number, trouble: Trouble): Trouble {
  const seconds = Math.round(Math.abs(aheadMs) / 1000)
  const how = aheadMs > 0 ? 'ahead of' : 'behind'
  return { ...trouble, says: `This computer's clock is ${seconds} s ${how} the hub's. Set it right, then try again.` }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new SessionError(`expected a JSON message from the hub, got ${text.slice(0, 80)}`)
  }
}

/** What the hub said; null if it is of a type that this page does not know: a newer hub's, and no reason to stop. */
function known(said: unknown): HubToOperator | null {
  const type = (said as { type?: unknown } | null)?.type
  if (typeof type !== 'string')
    throw new SessionError(`expected a message with a type from the hub, got ${JSON.stringify(said).slice(0, 80)}`)
  return Object.hasOwn(HEARD_IN, type) ? (said as HubToOperator) : null
}
