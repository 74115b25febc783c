// Where the camera must be for a thing to fill the part of the picture that no panel covers.

import { type Box3, Vector3 } from 'three'

/** The free part of a picture, in its pixels. */
export interface Free {
  left: number
  top: number
  width: number
  height: number
}

const UP = new Vector3(0, 0, 1)

/** The corners of a box. */
export const cornersOf = ({ min, max }: Box3): Vector3[] =>
  [min.x, max.x].flatMap((x) => [min.y, max.y].flatMap((y) => [min.z, max.z].map((z) => new Vector3(x, y, z))))

/** Where a camera stands: to the right of and above the line of sight through the origin, and how far along it. */
export interface Stand {
  right: number
  above: number
  away: number
}

/** The directions to the right and upwards of a camera that looks from `from` (of length 1, not straight up). */
export function sidesOf(from: Vector3): { right: Vector3; above: Vector3 } {
  const right = UP.clone().cross(from).normalize()
  return { right, above: from.clone().cross(right) }
}

/**
 * The nearest place in the direction `from` at which a camera has all points within the tangents `across` and `up` of
 * its half angles. A point at (r, f) is within if |r - right| <= across (away - f): of the two sides the farthest points
 * give `away`, and `right` is in the middle; the same upwards.
 */
export function standFor(points: readonly Vector3[], from: Vector3, across: number, up: number): Stand {
  const sides = sidesOf(from)
  const most = (side: Vector3, tangent: number) => Math.max(...points.map((at) => at.dot(side) + tangent * at.dot(from)))
  const along = (side: Vector3, tangent: number) => {
    const [there, back] = [most(side, tangent), most(side.clone().negate(), tangent)]
    return { middle: (there - back) / 2, away: (there + back) / (2 * tangent) }
  }
  const [flat, high] = [along(sides.right, across), along(sides.above, up)]
  return { right: flat.middle, above: high.middle, away: Math.max(flat.away, high.away) }
}
