// What the hub tells of a robot (`teleop/PROTOCOL.md`, "The descriptor"), and where its arrays lie in a state.

export interface ArraySpec {
  name: string
  shape: number[]
  unit: string
  doc: string
}

type Triple = [number, number, number]
type Four = [number, number, number, number]

export type Shape =
  | { kind: 'box'; half_extents_m: Triple }
  | { kind: 'sphere'; radius_m: number }
  /** Along z. */
  | { kind: 'cylinder'; radius_m: number; length_m: number }

export interface Part {
  shape: Shape
  position_m: Triple
  /** x y z w */
  orientation: Four
  /** Null: the body's. */
  rgba: Four | null
}

export interface SceneBody {
  name: string
  rgba: Four
  position_m: Triple
  orientation: Four
  /** The array (7,), or (n, 7) with `row`, that says where it is; null: it stands still. */
  pose_from: string | null
  row: number | null
  /** It is where a thing, or a hand, should come. */
  goal: boolean
  parts: Part[]
}

export interface EndEffector {
  name: string
  link: string
  joint_names: string[]
  workspace_lower_m: Triple
  workspace_upper_m: Triple
  gripper_joints: Record<string, [closed: number, open: number]>
  base_link: string | null
  /** The array that says where it is. */
  pose: string
}

export interface MobileBase {
  joint_names: [x: string, y: string, heading: string]
  speed_max_m_s: number
  turn_max_rad_s: number
}

/** What differs at a task from the robot's first. */
export interface Setting {
  observation: ArraySpec[]
  scene: { bodies: SceneBody[] }
}

export interface Task {
  name: string
  version: number
  instruction: string
  stages: string[]
  max_steps: number
  /** Of a robot that offers several tasks, at those after the first. */
  setting?: Setting | null
}

export interface CameraOffered {
  name: string
  width: number
  height: number
  fps: number
  codecs: string[]
}

export interface Descriptor {
  name: string
  model: string
  urdf: string
  simulated: boolean
  control_hz: number
  joint_names: string[]
  joint_lower_rad: number[]
  joint_upper_rad: number[]
  home_rad: number[]
  end_effectors: EndEffector[]
  base: MobileBase | null
  observation: ArraySpec[]
  scene: { bodies: SceneBody[] }
  tasks: Task[]
  /** Of hosts that have any. */
  cameras?: CameraOffered[]
}

/** A robot as it is while it is at one of its tasks; as it is at the first, if it offers no such task. */
export function atTask(descriptor: Descriptor, task: string | null): Descriptor {
  const setting = descriptor.tasks.find((each) => each.name === task)?.setting
  return setting ? { ...descriptor, observation: setting.observation, scene: setting.scene } : descriptor
}

/** Whether states of both are laid out and drawn the same way. */
export const sameSetting = (one: Descriptor, other: Descriptor): boolean =>
  JSON.stringify([one.observation, one.scene]) === JSON.stringify([other.observation, other.scene])

/** What the keys can move: each hand, then the base. */
export const partsOf = (descriptor: Descriptor): string[] => [
  ...descriptor.end_effectors.map((end) => end.name),
  ...(descriptor.base ? ['base'] : []),
]

/** The stage that a progress in [0, 1] is in: stages are equal parts. Null if the task has none. */
export function stageAt(stages: readonly string[], progress: number): string | null {
  return stages[Math.min(Math.floor(progress * stages.length), stages.length - 1)] ?? null
}

/** A state's length is not what the descriptor says. */
export class LayoutError extends Error {
  override name = 'LayoutError'
}

/** Where each named array lies in a state's values. */
export class Layout {
  readonly size: number
  /** Where the quaternions of the poses begin. */
  readonly quaternions: readonly number[]
  /** Which values say where something is, and not how fast. */
  readonly places: readonly number[]
  readonly #at = new Map<string, [start: number, end: number]>()

  constructor(observation: readonly ArraySpec[]) {
    let start = 0
    const [quaternions, places]: [number[], number[]] = [[], []]
    for (const array of observation) {
      const end = start + array.shape.reduce((product, side) => product * side, 1)
      this.#at.set(array.name, [start, end])
      if (array.name.endsWith('_pose')) for (let row = start; row < end; row += 7) quaternions.push(row + 3)
      if (!array.unit.includes('/s')) for (let i = start; i < end; i++) places.push(i)
      start = end
    }
    this.size = start
    this.quaternions = quaternions
    this.places = places
  }

  /** Where each array begins and ends. */
  get ranges(): ReadonlyMap<string, readonly [start: number, end: number]> {
    return this.#at
  }

  /** The named array, or one row of seven of it; null if this robot has none. */
  get(values: Float32Array, name: string, row: number | null = null): Float32Array | null {
    if (values.length !== this.size)
      throw new LayoutError(`expected ${this.size} values as the descriptor says, got ${values.length}`)
    const range = this.#at.get(name)
    if (!range) return null
    return row === null ? values.subarray(...range) : values.subarray(range[0] + 7 * row, range[0] + 7 * row + 7)
  }
}

/** Where a mobile base is: x, y (m) and heading (rad); null if the robot stands still. */
export function basePose(descriptor: Descriptor, layout: Layout, values: Float32Array): [number, number, number] | null {
  const joints = descriptor.base && layout.get(values, 'joint_position')
  if (!descriptor.base || !joints) return null
  const [x, y, heading] = descriptor.base.joint_names.map((name) => joints[descriptor.joint_names.indexOf(name)] ?? 0)
  return [x ?? 0, y ?? 0, heading ?? 0]
}
