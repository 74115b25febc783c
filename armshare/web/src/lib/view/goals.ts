// Where something should come: a ring around the place, and a line to the floor if the place is in the air.

import {
  Box3,
  BufferGeometry,
  Group,
  Line,
  LineBasicMaterial,
  Mesh,
  MeshBasicMaterial,
  type Object3D,
  RingGeometry,
  Vector3,
} from 'three'
import { Fade } from './fade'

const FADE_MS = 350
const LINE_M = 0.003
const SOFT_M = 0.016
/** What is higher than this above the floor is in the air. */
const AIR_M = 0.03

export class Goal {
  readonly group = new Group()
  readonly #of: Object3D
  readonly #materials = [0.95, 0.3].map((opacity) => ({ opacity, of: new MeshBasicMaterial({ transparent: true, depthWrite: false }) }))
  readonly #line = new Line(
    new BufferGeometry().setFromPoints([new Vector3(), new Vector3(0, 0, -1)]),
    new LineBasicMaterial({ transparent: true }),
  )
  readonly #fade = new Fade(FADE_MS)
  readonly #middle: Vector3
  readonly #inAir: boolean

  /** Around a body as it is placed now, and from then on wherever it goes. */
  constructor(body: Object3D) {
    this.#of = body
    body.updateMatrixWorld(true)
    const box = new Box3().setFromObject(body)
    const { x, y } = box.getSize(new Vector3())
    const radius = 0.55 * Math.max(x, y) + 0.012
    this.#inAir = box.min.z > AIR_M
    this.#middle = box.getCenter(new Vector3()).sub(body.position)
    if (!this.#inAir) this.#middle.z = box.min.z - body.position.z + 0.003
    const sizes = [[radius, radius + LINE_M], [radius + LINE_M, radius + LINE_M + SOFT_M]] as const
    sizes.forEach(([inner, outer], i) => this.group.add(new Mesh(new RingGeometry(inner, outer, 64), this.#materials[i]?.of)))
    if (this.#inAir) this.group.add(this.#line)
  }

  paint(colour: string): void {
    for (const { of } of this.#materials) of.color.set(colour)
    this.#line.material.color.set(colour)
  }

  /** One frame; `open`: it is not reached. Returns whether the picture changed. */
  step(open: boolean, nowMs: number): boolean {
    this.group.position.addVectors(this.#of.position, this.#middle)
    this.#line.scale.z = this.group.position.z
    const changed = this.#fade.step(open ? 1 : 0, nowMs)
    this.group.visible = this.#fade.value > 0
    for (const { opacity, of } of this.#materials) of.opacity = opacity * this.#fade.value
    this.#line.material.opacity = 0.6 * this.#fade.value
    return changed
  }
}
