// The picture: the robot and the things beside it, posed from the values of a state, and what helps to drive it: where it
// was sent, where its hands may not go, and where something should come.

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
import { basePose, type Descriptor, type EndEffector, Layout, type Part, type SceneBody, type Shape } from '../link/descriptor'
import { Companion } from './companion'
import { cornersOf } from './framing'
import { Ghost } from './ghost'
import { axesOf } from './joints'
import { Goal } from './goals'
import { setPosture } from './posture'
import { FROM_BEHIND, outline, OVER_THE_SHOULDER, type Palette, Viewport } from './viewport'
import { hubUrl } from '../hub'
import { type Loading, loadRobot } from './urdf'
import { Walls } from './walls'
import { baseWaysOf, type Ways, waysOf } from '../hands/ways'
import { LIMIT_RULES, type State } from '../link/wire'

/** What lies further from the robot than this was lost, and is not looked for. */
const FAR_M = 4
/** Of a value that is drawn (m, rad, parts of a quaternion), less than what can be seen: things at rest are not redrawn. */
const UNSEEN = 2e-4

export class Scene {
  readonly viewport: Viewport
  readonly layout: Layout
  readonly #descriptor: Descriptor
  readonly #bodies = new Map<SceneBody, Group>()
  readonly #plumbs: Plumb[]
  readonly #workspaces: Mesh[]
  readonly #walls: Walls[]
  readonly #goals: Goal[] = []
  #robot: URDFRobot | null = null
  #ghost: Ghost | null = null
  #companion: Companion | null = null
  #palette: Palette | null = null
  /** The corners of the parts of the robot at rest, and of the floor that its hands reach. */
  #atRest: readonly Vector3[] | null = null
  #framed = false
  #drawn: Float32Array | null = null

  constructor(canvas: HTMLCanvasElement, descriptor: Descriptor) {
    this.viewport = new Viewport(canvas)
    this.layout = new Layout(descriptor.observation)
    this.#descriptor = descriptor
    for (const body of descriptor.scene.bodies) {
      const drawn = this.#add(thing(body))
      this.#bodies.set(body, drawn)
      if (body.goal) this.#goals.push(new Goal(drawn))
    }
    for (const goal of this.#goals) this.#add(goal.group)
    this.#workspaces = descriptor.end_effectors.map(workspace)
    this.#walls = descriptor.end_effectors.map((end) => new Walls(end))
    this.#plumbs = descriptor.end_effectors.map(() => new Plumb())
    for (const plumb of this.#plumbs) this.#add(plumb.group)
  }

  /** Load what the robot looks like; until then the scene is drawn without it. */
  async load(told?: Loading): Promise<void> {
    const robot = await loadRobot(hubUrl(this.#descriptor.urdf), told)
    this.#robot = robot
    this.#ghost = new Ghost(robot, this.#descriptor)
    this.#add(robot)
    this.#add(this.#ghost.robot)
    setPosture(robot, this.#descriptor, null, null)
    this.#carry(robot, this.#workspaces)
    this.#drawn = null
    robot.updateMatrixWorld(true)
    this.#atRest = [...pointsOf(robot, this.#workspaces), ...this.#workspaces.flatMap(mostOf)]
    this.#carry(robot, this.#walls.map(({ mesh }) => mesh))
    if (this.#palette) this.paint(this.#palette)
    // Two arms would hide each other.
    this.viewport.frame(this.#atRest, this.#descriptor.end_effectors.length > 1 ? FROM_BEHIND : OVER_THE_SHOULDER)
    this.viewport.touch()
  }

  /** Another episode: once its first state is there, all of it is shown. */
  begin(): void {
    this.#framed = false
  }

  /** Go to the next view, of all that there is now. */
  look(): void {
    this.#frame()
    this.viewport.look()
  }

  /** Show what the keys move: a hand, by number, or one more for the base. */
  choose(part: number): void {
    this.#plumbs.forEach((plumb, hand) => plumb.strength(hand === part ? 1 : 0.35))
    this.viewport.touch()
  }

  paint(palette: Palette): void {
    this.#palette = palette
    this.viewport.paint(palette)
    this.#ghost?.paint(palette.accent)
    this.#companion?.paint(palette.other)
    for (const walls of this.#walls) walls.paint(palette.warn)
    for (const goal of this.#goals) goal.paint(palette.accent)
    for (const plumb of this.#plumbs) plumb.paint(palette.accent)
    for (const drawn of this.#workspaces) (drawn.material as MeshBasicMaterial).color.set(palette.accent)
  }

  /** Pose everything from a state's values, in the order of the descriptor. */
  pose(values: Float32Array): void {
    if (this.#drawn && !this.#differ(this.#drawn, values)) return
    this.#drawn = values
    this.viewport.touch()
    if (this.#robot) {
      const [joints, openings] = ['joint_position', 'gripper_position'].map((name) => this.layout.get(values, name))
      setPosture(this.#robot, this.#descriptor, joints ?? null, openings ?? null)
    }
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

  /** Draw another drive beside it, translucent, from its values in the same order; null: no other. */
  accompany(values: Float32Array | null): void {
    if (!this.#companion && values && this.#robot) {
      this.#companion = new Companion(this.#robot, this.#descriptor, this.#bodies)
      this.#companion.paint(this.#palette?.other ?? '')
      this.#add(this.#companion.group)
    }
    if (this.#companion?.pose(values, this.layout, place)) this.viewport.touch()
  }

  /** One frame of what comes and goes, for the values that were posed and, if the robot is driven, its newest state. */
  step(state: State | null, nowMs: number): void {
    const succeeded = state?.succeeded ?? false
    const changed = [
      ...this.#goals.map((goal) => goal.step(!succeeded, nowMs)),
      ...this.#walls.map((walls, i) => this.#touch(walls, i, state, nowMs)),
      this.#lead(nowMs),
    ]
    if (changed.includes(true)) this.viewport.touch()
  }

  /** Whether the target is drawn apart from the robot, and which walls its hands touch. */
  get signs(): { ghost: boolean; walls: string } {
    return { ghost: this.#ghost?.visible ?? false, walls: this.#walls.flatMap(({ touched }) => touched).join(' ') }
  }

  /** Whether the robot itself is in the picture. */
  get complete(): boolean {
    return this.#robot !== null
  }

  /** Which motions a hand, by number, or the base cannot make from where it is drawn. */
  ways(part: number): Ways {
    const [robot, values] = [this.#robot, this.#drawn]
    const end = this.#descriptor.end_effectors[part]
    if (!robot || !values) return new Map()
    if (!end) return this.#baseWays(values)
    const ways = new Map(waysOf(axesOf(robot, this.#descriptor, end, this.#sent(values))))
    for (const wall of this.#walls[part]?.reached ?? []) ways.set(wall, { why: 'edge' })
    return ways
  }

  /** Where a hand is drawn, by number; null for the base. */
  hand(part: number): Vector3 | null {
    const end = this.#descriptor.end_effectors[part]
    const pose = end && this.#drawn && this.layout.get(this.#drawn, end.pose)
    return pose ? new Vector3(pose[0], pose[1], pose[2]) : null
  }

  /** Whether the picture is the newest. */
  render(nowMs: number): boolean {
    return this.viewport.render(nowMs)
  }

  dispose(): void {
    this.#ghost?.dispose()
    this.#companion?.dispose()
    this.viewport.scene.traverse((object) => {
      if (object instanceof Mesh) object.geometry.dispose()
    })
    this.viewport.dispose()
  }

  #baseWays(values: Float32Array): Ways {
    const { base, joint_names, joint_lower_rad, joint_upper_rad } = this.#descriptor
    const at = basePose(this.#descriptor, this.layout, values)
    if (!base || !at) return new Map()
    const of = (limits: readonly number[]) => base.joint_names.map((name) => limits[joint_names.indexOf(name)] ?? 0) as [number, number, number]
    return baseWaysOf(at, of(joint_lower_rad), of(joint_upper_rad))
  }

  /** Where the joints were sent, else where they are. */
  #sent(values: Float32Array): ArrayLike<number> {
    return this.layout.get(values, 'commanded_joint_position') ?? this.layout.get(values, 'joint_position') ?? []
  }

  #differ(one: Float32Array, other: Float32Array): boolean {
    const { places, size } = this.layout
    return other.length !== size || places.some((i) => Math.abs((one[i] as number) - (other[i] as number)) >= UNSEEN)
  }

  /** What belongs to the hands, in order; a mobile base carries it along. */
  #carry(robot: URDFRobot, things: readonly Object3D[]): void {
    things.forEach((thing, i) => this.#carrier(robot, i)?.add(thing))
  }

  #carrier(robot: URDFRobot, hand: number): Object3D | undefined {
    const link = this.#descriptor.end_effectors[hand]?.base_link ?? null
    return link === null ? robot : robot.links[link]
  }

  #touch(walls: Walls, index: number, state: State | null, nowMs: number): boolean {
    const hand = this.hand(index)
    const carrier = this.#robot && this.#carrier(this.#robot, index)
    if (!hand || !carrier) return false
    return walls.step(carrier.worldToLocal(hand), ((state?.limits ?? 0) & LIMIT_RULES.workspace) !== 0, nowMs)
  }

  #lead(nowMs: number): boolean {
    const joints = this.#drawn && this.layout.get(this.#drawn, 'commanded_joint_position')
    if (!this.#robot || !this.#ghost || !this.#drawn || !joints) return false
    return this.#ghost.step(this.#robot, joints, this.layout.get(this.#drawn, 'commanded_gripper_position'), nowMs)
  }

  /** The robot, and the things that are not too far to go to. */
  #frame(): void {
    if (!this.#atRest) return
    this.#framed = true
    const all = [...this.#atRest]
    for (const drawn of this.#bodies.values()) {
      const corners = cornersOf(new Box3().setFromObject(drawn)).map((corner) => this.viewport.carried(corner))
      if (corners.every((corner) => corner.length() < FAR_M)) all.push(...corners)
    }
    this.viewport.frame(all)
  }

  /** The camera goes along with a mobile base. */
  #follow(values: Float32Array): void {
    const base = basePose(this.#descriptor, this.layout, values)
    if (base) this.viewport.follow(...base)
  }

  #add<T extends Group | Mesh | URDFRobot>(object: T): T {
    this.viewport.scene.add(object)
    return object
  }
}

/** Of the floor that a hand reaches, the part that is shown for certain; all of it would make the robot small. */
const SHOWN = 0.7

function mostOf(floor: Mesh): Vector3[] {
  const corners = cornersOf(new Box3().setFromObject(floor))
  const middle = new Box3().setFromPoints(corners).getCenter(new Vector3())
  return corners.map((corner) => corner.lerp(middle, 1 - SHOWN))
}

/** The corners of each mesh's own box, where it stands in the room; the floors are no part of the robot. */
function pointsOf(robot: URDFRobot, without: readonly Object3D[]): Vector3[] {
  const points: Vector3[] = []
  robot.traverse((part) => {
    if (!(part instanceof Mesh) || without.includes(part)) return
    const geometry: BufferGeometry = part.geometry
    if (!geometry.boundingBox) geometry.computeBoundingBox()
    if (geometry.boundingBox) points.push(...cornersOf(geometry.boundingBox).map((corner) => corner.applyMatrix4(part.matrixWorld)))
  })
  return points
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
