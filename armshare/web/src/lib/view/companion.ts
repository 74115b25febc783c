// Another drive beside the one that is shown again: its robot and its things, translucent, at the same moment.

import { Color, Group, LineBasicMaterial, LineSegments, Mesh, MeshLambertMaterial } from 'three'
import type { URDFRobot } from 'urdf-loader'
import type { Descriptor, Layout, SceneBody } from '../link/descriptor'
import { setPosture } from './posture'

const OPACITY = 0.34
/** Where both are at one place, the drive itself is seen. */
const BEHIND = { polygonOffset: true, polygonOffsetFactor: 4, polygonOffsetUnits: 16 }

export class Companion {
  readonly group = new Group()
  readonly #robot: URDFRobot
  readonly #descriptor: Descriptor
  readonly #things: { body: SceneBody; drawn: Group }[]
  readonly #material = new MeshLambertMaterial({ transparent: true, opacity: OPACITY, depthWrite: false, ...BEHIND })
  readonly #edges = new LineBasicMaterial({ transparent: true, opacity: 0.8 })
  #shown: Float32Array | null = null

  /** Drawn like `robot` and those of `bodies` that move, which are copied as they are now. */
  constructor(robot: URDFRobot, descriptor: Descriptor, bodies: ReadonlyMap<SceneBody, Group>) {
    this.#descriptor = descriptor
    this.#robot = robot.clone()
    const moving = [...bodies].filter(([body]) => body.pose_from !== null && !body.goal)
    this.#things = moving.map(([body, drawn]) => ({ body, drawn: drawn.clone() }))
    this.group.add(this.#robot, ...this.#things.map(({ drawn }) => drawn))
    this.group.traverse((part) => {
      if (part instanceof LineSegments) part.material = this.#edges
      if (!(part instanceof Mesh)) return
      part.material = this.#material
      part.castShadow = part.receiveShadow = false
    })
    this.group.visible = false
  }

  paint(colour: string): void {
    this.#edges.color.set(colour)
    this.#material.color.set(colour)
    this.#material.emissive = new Color(colour).multiplyScalar(0.3)
  }

  /** Show these values, or nothing; returns whether the picture changed. */
  pose(values: Float32Array | null, layout: Layout, place: (object: Group, pose: ArrayLike<number>) => void): boolean {
    if (values === this.#shown) return false
    this.#shown = values
    this.group.visible = values !== null
    if (!values) return true
    const [joints, openings] = ['joint_position', 'gripper_position'].map((name) => layout.get(values, name))
    setPosture(this.#robot, this.#descriptor, joints ?? null, openings ?? null)
    for (const { body, drawn } of this.#things) {
      const pose = layout.get(values, body.pose_from ?? '', body.row)
      if (pose) place(drawn, pose)
    }
    return true
  }

  dispose(): void {
    this.#edges.dispose()
    this.#material.dispose()
  }
}
