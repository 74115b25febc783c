// What this page sees of the robot of a visit: its states, what they say of the drive, and what is drawn of them.

import type { Operator, RobotDetail } from '../account/api'
import { basePose, type Descriptor, Layout, partsOf, sameSetting } from '../link/descriptor'
import type { State } from '../link/wire'
import { type Pose, poseOf } from '../hands/servo'
import { Playback } from '../view/interp'
import { Replay } from '../view/replay.svelte'
import { Beside } from './beside.svelte'
import { Guide, type Lesson } from './guide'
import { behindRad, type Hint, Hints } from './hints'

export class Sight {
  robot = $state.raw<RobotDetail | null>(null)
  /** The newest state. */
  state = $state.raw<State | null>(null)
  /** The robot is in the picture: before that it is not driven. */
  drawn = $state(false)
  /** How much of its model has come, in words. */
  modelParts = $state('')
  /** What holds the arm back. */
  hint = $state<Hint | null>(null)
  /** How many steps are recorded. */
  steps = $state(0)
  replay = $state.raw(new Replay())
  /** The best drive from a like start, beside the replay. */
  readonly beside = new Beside()
  /** What the first drive has yet to show; null if this wallet is paid already. */
  guided = $state.raw<Lesson[] | null>(null)
  layout: Layout | null = null
  /** How open each gripper is. */
  openings: number[] | null = null
  /** When the newest state came to this thread. */
  heardMs = 0
  #playback: Playback | null = null
  #firstSeq: number | null = null
  readonly #hints = new Hints()
  #guide: Guide | null = null

  /** Draw the robot, and read its states, as this says. */
  appear(robot: RobotDetail): void {
    this.robot = robot
    this.drawn = false
    this.layout = new Layout(robot.descriptor.observation)
    this.#playback = new Playback(1000 / robot.descriptor.control_hz, this.layout.quaternions)
    this.replay = new Replay(this.layout.quaternions)
  }

  /** The robot is at this task now: another's while one waits for it, at last one's own. */
  turnTo(descriptor: Descriptor): void {
    if (this.robot && !sameSetting(this.robot.descriptor, descriptor)) this.appear({ ...this.robot, descriptor })
  }

  get seconds(): number {
    return this.steps / (this.robot?.descriptor.control_hz ?? 1)
  }

  /** What the keys can move. */
  get parts(): string[] {
    return this.robot ? partsOf(this.robot.descriptor) : []
  }

  /** Where a hand is; null if `part` is the base, and before the first state. */
  hand(part: number): Pose | null {
    const end = this.robot?.descriptor.end_effectors[part]
    const pose = end && this.state && this.layout?.get(this.state.values, end.pose)
    return pose ? poseOf(pose) : null
  }

  /** How far the base that carries the hands has turned. */
  get headingRad(): number {
    const { robot, state, layout } = this
    return (robot && state && layout && basePose(robot.descriptor, layout, state.values)?.[2]) || 0
  }

  /** What to draw: with `replaying`, the last episode. */
  picture(nowMs: number, replaying: boolean): Float32Array | null {
    return (replaying ? this.replay.values(nowMs) : null) ?? this.#playback?.at(nowMs) ?? null
  }

  /** What to draw beside the last episode while it is shown again: the best drive, at the same moment. */
  get other(): Float32Array | null {
    return this.beside.values(this.replay.episodeS)
  }

  /** A new episode can begin; `operator` is who drives it. */
  ready(operator: Operator | null): void {
    this.#playback?.clear()
    this.replay.clear()
    this.beside.clear()
    this.#hints.clear()
    this.steps = 0
    this.#firstSeq = null
    const { robot, layout } = this
    const practice = robot && layout && operator?.qualified === false
    this.#guide = practice ? new Guide(robot.descriptor, layout, operator.needs, operator.shown) : null
    this.guided = this.#guide?.steps ?? null
  }

  /** An episode goes on of which so many steps had been recorded when state `seq` was published. */
  goOn({ steps, seq }: { steps: number; seq: number }): void {
    this.#firstSeq = steps > 0 ? seq - steps + 1 : null
    this.steps = steps
  }

  /** A state of another's drive, which is drawn and no more. */
  watch(state: State, atMs: number): void {
    this.#playback?.push(state, atMs - performance.timeOrigin)
  }

  /** A state of this visit's lease. */
  see(state: State, atMs: number, layout: Layout): void {
    const openings = layout.get(state.values, 'gripper_position')
    this.openings = openings && [...openings]
    this.state = state
    this.heardMs = performance.now()
    this.watch(state, atMs)
    const [joints, targets] = ['joint_position', 'commanded_joint_position'].map((name) => layout.get(state.values, name))
    this.hint = this.#hints.take(state.limits, behindRad(joints ?? null, targets ?? null), atMs)
  }

  /** Take note of a recorded state; returns whether it is the first. */
  record(state: State): boolean {
    if (this.#guide) {
      this.#guide.see(state)
      this.guided = this.#guide.steps
    }
    const first = this.#firstSeq === null
    this.#firstSeq ??= state.seq
    this.steps = state.seq - this.#firstSeq + 1
    // A simulation does exactly one period in each step, whatever its host's clock says.
    this.replay.push(state, this.robot?.descriptor.simulated ? 1000 * this.seconds : undefined)
    if (this.replay.frames.length === 1) this.replay.fromS = this.seconds
    return first
  }
}
