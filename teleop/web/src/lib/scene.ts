// The picture: the robot and the things beside it, posed from the values of a state.

import {
  BoxGeometry,
  BufferGeometry,
  Color,
  EdgesGeometry,
  Group,
  Line,
  LineBasicMaterial,
  LineSegments,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  Quaternion,
  RingGeometry,
  Vector3,
} from 'three'
import type { URDFRobot } from 'urdf-loader'
import { type Descriptor, Layout, type SceneBody } from './descriptor'
import { outline, type Palette, Stage } from './stage'
import { loadRobot } from './urdf'

export class Scene {
  readonly stage: Stage
  readonly layout: Layout
  readonly #descriptor: Descriptor
  readonly #bodies = new Map<SceneBody, Mesh>()
  readonly #plumb = new Plumb()
  readonly #workspace: Mesh
  #robot: URDFRobot | null = null
  #drawn: Float32Array | null = null

  constructor(canvas: HTMLCanvasElement, descriptor: Descriptor) {
    this.stage = new Stage(canvas, descriptor.workspace_upper_m[0])
    this.layout = new Layout(descriptor.observation)
    this.#descriptor = descriptor
    for (const body of descriptor.scene) this.#bodies.set(body, this.#add(box(body)))
    const [lower, upper] = [descriptor.workspace_lower_m, descriptor.workspace_upper_m]
    this.#workspace = outline(upper[0] - lower[0], upper[1] - lower[1], '#ffffff')
    this.#workspace.position.set((lower[0] + upper[0]) / 2, (lower[1] + upper[1]) / 2, 0.0005)
    this.#add(this.#workspace)
    this.#add(this.#plumb.group)
  }

  /** Load what the robot looks like; until then the scene is drawn without it. */
  async load(): Promise<void> {
    const robot = await loadRobot(this.#descriptor.urdf)
    this.#robot = robot
    this.#add(robot)
    this.#rest(robot)
    this.#drawn = null
    this.stage.touch()
  }

  paint(palette: Palette): void {
    this.stage.paint(palette)
    this.#plumb.paint(palette.accent)
    ;(this.#workspace.material as MeshBasicMaterial).color.set(palette.accent)
  }

  /** Pose everything from a state's values, in the order of the descriptor. */
  pose(values: Float32Array): void {
    if (this.#drawn?.every((value, i) => value === values[i])) return
    this.#drawn = values
    this.stage.touch()
    if (this.#robot) this.#joints(this.#robot, values)
    for (const [body, mesh] of this.#bodies) {
      const pose = body.pose_from ? this.layout.get(values, body.pose_from) : null
      if (pose) place(mesh, pose)
    }
    const hand = this.layout.get(values, 'ee_pose')
    if (hand) this.#plumb.hang(hand)
  }

  /** Whether the picture is the newest. */
  render(nowMs: number): boolean {
    return this.stage.render(nowMs)
  }

  dispose(): void {
    this.stage.scene.traverse((object) => {
      if (object instanceof Mesh) object.geometry.dispose()
    })
    this.stage.dispose()
  }

  #joints(robot: URDFRobot, values: Float32Array): void {
    const angles = this.layout.get(values, 'joint_position')
    this.#descriptor.joint_names.forEach((name, i) => turn(robot, name, angles?.[i] ?? 0))
    const opening = this.layout.get(values, 'gripper_position')?.[0]
    if (opening !== undefined) this.#open(robot, opening)
  }

  #rest(robot: URDFRobot): void {
    this.#descriptor.joint_names.forEach((name, i) => turn(robot, name, this.#descriptor.home_rad[i] ?? 0))
    this.#open(robot, 1)
  }

  #open(robot: URDFRobot, opening: number): void {
    for (const [name, [closed, open]] of Object.entries(this.#descriptor.gripper_joints))
      turn(robot, name, closed + opening * (open - closed))
  }

  #add<T extends Group | Mesh | URDFRobot>(object: T): T {
    this.stage.scene.add(object)
    return object
  }
}

/** The drawn joint follows what was measured, also beyond the URDF's own limits. */
function turn(robot: URDFRobot, name: string, value: number): void {
  const joint = robot.joints[name]
  if (!joint) return
  joint.ignoreLimits = true
  joint.setJointValue(value)
}

function box(body: SceneBody): Mesh {
  const [x, y, z] = body.half_extents_m.map((half) => 2 * half) as [number, number, number]
  const [r, g, b, a] = body.rgba
  const colour = new Color().setRGB(r, g, b, 'srgb')
  const material = new MeshStandardMaterial({ color: colour, roughness: 0.5, transparent: a < 1, opacity: a })
  const mesh = new Mesh(new BoxGeometry(x, y, z), material)
  const edges = new LineBasicMaterial({ color: colour.clone().multiplyScalar(0.6), transparent: true, opacity: 0.6 })
  mesh.add(new LineSegments(new EdgesGeometry(mesh.geometry), edges))
  mesh.position.set(...body.position_m)
  mesh.castShadow = a >= 1
  mesh.receiveShadow = true
  return mesh
}

const turned = new Quaternion()

/** x y z, then the quaternion x y z w. */
function place(mesh: Mesh, pose: Float32Array): void {
  const [x = 0, y = 0, z = 0, qx = 0, qy = 0, qz = 0, qw = 1] = pose
  mesh.position.set(x, y, z)
  mesh.quaternion.copy(turned.set(qx, qy, qz, qw).normalize())
}

/** A plumb line from the hand to the floor: on a flat screen it is what tells where the hand is. */
class Plumb {
  readonly group = new Group()
  readonly #line = new Line(
    new BufferGeometry().setFromPoints([new Vector3(), new Vector3(0, 0, 1)]),
    new LineBasicMaterial({ transparent: true, opacity: 0.55 }),
  )
  readonly #ring = new Mesh(
    new RingGeometry(0.013, 0.017, 40),
    new MeshBasicMaterial({ transparent: true, opacity: 0.8, depthWrite: false }),
  )

  constructor() {
    this.#ring.position.z = 0.001
    this.group.add(this.#line, this.#ring)
    this.group.visible = false
  }

  paint(colour: string): void {
    this.#line.material.color.set(colour)
    this.#ring.material.color.set(colour)
  }

  hang(hand: Float32Array): void {
    const [x = 0, y = 0, z = 0] = hand
    this.group.visible = true
    this.group.position.set(x, y, 0)
    this.#line.scale.z = Math.max(0.001, z)
  }
}
