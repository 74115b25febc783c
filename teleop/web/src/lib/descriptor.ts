// What the hub tells of a robot (`teleop/PROTOCOL.md`, "The descriptor"), and where its arrays lie in a state.

export interface ArraySpec {
  name: string
  shape: number[]
  unit: string
  doc: string
}

export interface SceneBody {
  name: string
  half_extents_m: [number, number, number]
  rgba: [number, number, number, number]
  position_m: [number, number, number]
  pose_from: string | null
}

export interface Task {
  name: string
  version: number
  instruction: string
  max_steps: number
}

export interface Descriptor {
  name: string
  model: string
  urdf: string
  simulated: boolean
  control_hz: number
  joint_names: string[]
  home_rad: number[]
  ee_link: string
  workspace_lower_m: [number, number, number]
  workspace_upper_m: [number, number, number]
  has_gripper: boolean
  gripper_joints: Record<string, [closed: number, open: number]>
  observation: ArraySpec[]
  scene: SceneBody[]
  tasks: Task[]
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
  readonly #at = new Map<string, [start: number, end: number]>()

  constructor(observation: readonly ArraySpec[]) {
    let start = 0
    const quaternions: number[] = []
    for (const array of observation) {
      const end = start + array.shape.reduce((product, side) => product * side, 1)
      this.#at.set(array.name, [start, end])
      if (array.name.endsWith('_pose') && end - start === 7) quaternions.push(start + 3)
      start = end
    }
    this.size = start
    this.quaternions = quaternions
  }

  /** The named array, or null where this robot has none. */
  get(values: Float32Array, name: string): Float32Array | null {
    if (values.length !== this.size)
      throw new LayoutError(`expected ${this.size} values as the descriptor says, got ${values.length}`)
    const range = this.#at.get(name)
    return range ? values.subarray(...range) : null
  }
}
