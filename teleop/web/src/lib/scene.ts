// The picture: the robot and the things beside it, posed from the values of a state.

import {
  Box3,
  BoxGeometry,
  BufferGeometry,
  Color,
  CylinderGeometry,
  EdgesGeometry,
  Group,
  Line,
  LineBasicMaterial,
  LineSegments,
  Mesh,
  MeshBasicMaterial,
  MeshStandardMaterial,
  type Object3D,
  Quaternion,
  RingGeometry,
  SphereGeometry,
  Vector3,
} from 'three'
import type { URDFRobot } from 'urdf-loader'
import { basePose, type Descriptor, type EndEffector, Layout, type Part, type SceneBody, type Shape } from './descriptor'
import { cornersOf } from './framing'
import { FROM_BEHIND, outline, OVER_THE_SHOULDER, type Palette, Stage } from './stage'
import { loadRobot } from './urdf'

/** What lies further from the robot than this was lost, and is not looked for. */
const FAR_M = 4

export class Scene {
  readonly stage: Stage
  readonly layout: Layout
  readonly #descriptor: Descriptor
  readonly #bodies = new Map<SceneBody, Group>()
  readonly #plumbs: Plumb[]
  readonly #workspaces: Mesh[]
  #robot: URDFRobot | null = null
  /** The robot at rest, and the floor that its hands reach. */
  #atRest: Box3 | null = null
  #framed = false
  #drawn: Float32Array | null = null

  constructor(canvas: HTMLCanvasElement, descriptor: Descriptor) {
    this.stage = new Stage(canvas)
    this.layout = new Layout(descriptor.observation)
    this.#descriptor = descriptor
    for (const body of descriptor.scene.bodies) this.#bodies.set(body, this.#add(thing(body)))
    this.#workspaces = descriptor.end_effectors.map(workspace)
    this.#plumbs = descriptor.end_effectors.map(() => new Plumb())
    for (const plumb of this.#plumbs) this.#add(plumb.group)
  }

  /** Load what the robot looks like; until then the scene is drawn without it. */
  async load(): Promise<void> {
    const robot = await loadRobot(this.#descriptor.urdf)
    this.#robot = robot
    this.#add(robot)
    this.#rest(robot)
    // A mobile base carries the workspace along.
    this.#descriptor.end_effectors.forEach((end, i) => {
      const carrier = end.base_link === null ? robot : robot.links[end.base_link]
      const floor = this.#workspaces[i]
      if (carrier && floor) carrier.add(floor)
    })
    this.#drawn = null
    robot.updateMatrixWorld(true)
    this.#atRest = new Box3().setFromObject(robot)
    // Two arms would hide each other.
    this.stage.frame(this.#atRest, this.#descriptor.end_effectors.length > 1 ? FROM_BEHIND : OVER_THE_SHOULDER)
    this.stage.touch()
  }

  /** Another episode: once its first state is there, all of it is shown. */
  begin(): void {
    this.#framed = false
  }

  /** Go to the next view, of all that there is now. */
  look(): void {
    this.#frame()
    this.stage.look()
  }

  /** Show what the keys move: a hand, by number, or one more for the base. */
  choose(part: number): void {
    this.#plumbs.forEach((plumb, hand) => plumb.strength(hand === part ? 1 : 0.35))
    this.stage.touch()
  }

  paint(palette: Palette): void {
    this.stage.paint(palette)
    for (const plumb of this.#plumbs) plumb.paint(palette.accent)
    for (const drawn of this.#workspaces) (drawn.material as MeshBasicMaterial).color.set(palette.accent)
  }

  /** Pose everything from a state's values, in the order of the descriptor. */
  pose(values: Float32Array): void {
    if (this.#drawn?.every((value, i) => value === values[i])) return
    this.#drawn = values
    this.stage.touch()
    if (this.#robot) this.#joints(this.#robot, values)
    for (const [body, drawn] of this.#bodies) {
      const pose = body.pose_from ? this.layout.get(values, body.pose_from, body.row) : null
      if (pose) place(drawn, pose)
    }
    this.#descriptor.end_effectors.forEach((end, i) => {
      const hand = this.layout.get(values, end.pose)
      if (hand) this.#plumbs[i]?.hang(hand)
    })
    this.#follow(values)
    if (!this.#framed) this.#frame()
  }

  /** Where a hand is drawn, by number; null for the base. */
  hand(part: number): Vector3 | null {
    const end = this.#descriptor.end_effectors[part]
    const pose = end && this.#drawn && this.layout.get(this.#drawn, end.pose)
    return pose ? new Vector3(pose[0], pose[1], pose[2]) : null
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
    const openings = this.layout.get(values, 'gripper_position')
    if (openings) this.#open(robot, openings)
  }

  #rest(robot: URDFRobot): void {
    this.#descriptor.joint_names.forEach((name, i) => turn(robot, name, this.#descriptor.home_rad[i] ?? 0))
    this.#open(robot, [])
  }

  /** A hand of which nothing is known is drawn open. */
  #open(robot: URDFRobot, openings: ArrayLike<number>): void {
    this.#descriptor.end_effectors.forEach((end, i) => {
      for (const [name, [closed, open]] of Object.entries(end.gripper_joints))
        turn(robot, name, closed + (openings[i] ?? 1) * (open - closed))
    })
  }

  /** The robot, and the things that are not too far to go to. */
  #frame(): void {
    if (!this.#atRest) return
    this.#framed = true
    const all = this.#atRest.clone()
    for (const drawn of this.#bodies.values()) {
      const corners = cornersOf(new Box3().setFromObject(drawn)).map((corner) => this.stage.carried(corner))
      if (corners.every((corner) => corner.length() < FAR_M)) all.union(new Box3().setFromPoints(corners))
    }
    this.stage.frame(all)
  }

  /** The camera goes along with a mobile base. */
  #follow(values: Float32Array): void {
    const base = basePose(this.#descriptor, this.layout, values)
    if (base) this.stage.follow(...base)
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

/** The floor below a hand's workspace. */
function workspace({ workspace_lower_m: lower, workspace_upper_m: upper }: EndEffector): Mesh {
  const drawn = outline(upper[0] - lower[0], upper[1] - lower[1], '#ffffff')
  drawn.position.set((lower[0] + upper[0]) / 2, (lower[1] + upper[1]) / 2, 0.0005)
  return drawn
}

function thing(body: SceneBody): Group {
  const group = new Group()
  for (const part of body.parts) group.add(solid(part, part.rgba ?? body.rgba))
  place(group, [...body.position_m, ...body.orientation])
  return group
}

function solid(part: Part, [r, g, b, a]: readonly [number, number, number, number]): Mesh {
  const colour = new Color().setRGB(r, g, b, 'srgb')
  const material = new MeshStandardMaterial({ color: colour, roughness: 0.5, transparent: a < 1, opacity: a })
  const mesh = new Mesh(geometry(part.shape), material)
  if (part.shape.kind === 'box') {
    const edges = new LineBasicMaterial({ color: colour.clone().multiplyScalar(0.6), transparent: true, opacity: 0.6 })
    mesh.add(new LineSegments(new EdgesGeometry(mesh.geometry), edges))
  }
  place(mesh, [...part.position_m, ...part.orientation])
  mesh.castShadow = a >= 1
  mesh.receiveShadow = true
  return mesh
}

function geometry(shape: Shape): BufferGeometry {
  if (shape.kind === 'box') return new BoxGeometry(...shape.half_extents_m.map((half) => 2 * half))
  if (shape.kind === 'sphere') return new SphereGeometry(shape.radius_m, 20, 14)
  return new CylinderGeometry(shape.radius_m, shape.radius_m, shape.length_m, 32).rotateX(Math.PI / 2)
}

const turned = new Quaternion()

/** x y z, then the quaternion x y z w. */
function place(object: Object3D, pose: ArrayLike<number>): void {
  const [x = 0, y = 0, z = 0, qx = 0, qy = 0, qz = 0, qw = 1] = Array.from(pose)
  object.position.set(x, y, z)
  object.quaternion.copy(turned.set(qx, qy, qz, qw).normalize())
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

  strength(part: number): void {
    this.#line.material.opacity = 0.55 * part
    this.#ring.material.opacity = 0.8 * part
  }

  hang(hand: Float32Array): void {
    const [x = 0, y = 0, z = 0] = hand
    this.group.visible = true
    this.group.position.set(x, y, 0)
    this.#line.scale.z = Math.max(0.001, z)
  }
}
