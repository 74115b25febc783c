// Which picture of a drawn film belongs to a moment of the episode. The hub draws them evenly, from its first observation to
// its last, and encodes ten a second (`docs/catalogue.md`). Pure.

const RATE_HZ = 10
/** How many pictures a film of this length has. */
export const countOf = (filmS: number): number => Math.max(1, Math.round(filmS * RATE_HZ))

/** The picture nearest to a moment, s from the first observation. */
export function pictureAt(atS: number, lengthS: number, count: number): number {
  if (!(lengthS > 0)) return 0
  return Math.min(count - 1, Math.max(0, Math.round((atS / lengthS) * (count - 1))))
}

/** Where in the film a picture is, s: in its middle, so that no rounding shows the one before. */
export const filmS = (picture: number): number => (picture + 0.5) / RATE_HZ
